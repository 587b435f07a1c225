package engine

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy is a socket between client and server that can be cut. It counts what passes, so that a test can wait for
// progress instead of sleeping.
type proxy struct {
	dir      string // for the client's Host
	target   string
	listener net.Listener
	wg       sync.WaitGroup
	passed   atomic.Int64 // reads that were handed on

	mu    sync.Mutex
	conns map[net.Conn]bool // both sides
	moved *sync.Cond
	held  bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "pgfit-proxy-")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{dir: dir, target: target, conns: map[net.Conn]bool{}}
	p.moved = sync.NewCond(&p.mu)
	if p.listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	p.wg.Go(p.accept)
	return p
}

func (p *proxy) end() {
	p.listener.Close()
	p.hold(false)
	p.cut(1 << 30)
	p.wg.Wait()
	os.RemoveAll(p.dir)
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		p.wg.Go(func() { p.pass(client, server) })
		p.wg.Go(func() { p.pass(server, client) })
	}
}

func (p *proxy) pass(from, to net.Conn) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		for p.held {
			p.moved.Wait()
		}
		p.passed.Add(1)
		p.moved.Broadcast()
		p.mu.Unlock()
		if n > 0 {
			_, _ = to.Write(buf[:n])
		}
		if err != nil {
			if err != io.EOF || n == 0 {
				p.close(from, to)
				return
			}
		}
	}
}

func (p *proxy) close(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

// cut breaks so many connections, both ways, whichever come first.
func (p *proxy) cut(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		if n--; n < 0 {
			return
		}
		c.Close()
		delete(p.conns, c)
	}
}

// hold stops or starts the flow.
func (p *proxy) hold(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = on
	p.moved.Broadcast()
}

// wait returns when so many more reads have been handed on, or when the test says that nothing more will come.
func (p *proxy) wait(n int64, ended *atomic.Bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for until := p.passed.Load() + n; p.passed.Load() < until && !ended.Load(); {
		p.moved.Wait()
	}
}

// tell wakes whoever waits, after ended was set.
func (p *proxy) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved.Broadcast()
}

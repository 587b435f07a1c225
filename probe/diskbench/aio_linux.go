//go:build linux && (amd64 || arm64)

package diskbench

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// iocb and event are the kernel's own layouts (include/uapi/linux/aio_abi.h, little-endian).
type iocb struct {
	data   uint64
	_      uint32 // key
	_      uint32 // rw_flags
	opcode uint16
	_      int16 // priority
	fd     uint32
	buf    uint64
	bytes  uint64
	offset int64
	_      uint64
	_      uint32 // flags
	_      uint32 // eventfd
}

type event struct {
	data, obj uint64
	res, res2 int64
}

const (
	opRead  = 0 // IOCB_CMD_PREAD
	opWrite = 1 // IOCB_CMD_PWRITE
)

// ring is a context of the kernel's asynchronous I/O. It is driven by raw system calls from one thread, so that neither cgo
// nor Go's scheduler stands between the disk and the clock: through the scheduler a wait of more than 20 µs costs the thread
// its processor, which showed as a fifth of the rate at depth 32. The runtime's signals end a wait, so that a collection of
// garbage is not held up.
type ring struct{ id uintptr }

func newRing(depth int) (*ring, error) {
	r := &ring{}
	if _, _, e := syscall.Syscall(syscall.SYS_IO_SETUP, uintptr(depth), uintptr(unsafe.Pointer(&r.id)), 0); e != 0 {
		return nil, os.NewSyscallError("io_setup", e)
	}
	return r, nil
}

// close waits for what is in flight.
func (r *ring) close() { _, _, _ = syscall.Syscall(syscall.SYS_IO_DESTROY, r.id, 0, 0) }

func (r *ring) submit(batch []*iocb) error {
	for len(batch) > 0 {
		n, _, e := syscall.RawSyscall(syscall.SYS_IO_SUBMIT, r.id, uintptr(len(batch)), uintptr(unsafe.Pointer(&batch[0])))
		switch {
		case e == syscall.EAGAIN || e == syscall.EINTR:
			continue
		case e != 0:
			return os.NewSyscallError("io_submit", e)
		}
		batch = batch[n:]
	}
	return nil
}

// wait returns what has finished, at least one request unless a tenth of a second passes.
func (r *ring) wait(events []event) ([]event, error) {
	timeout := syscall.NsecToTimespec(int64(100 * time.Millisecond))
	n, _, e := syscall.RawSyscall6(syscall.SYS_IO_GETEVENTS, r.id, 1, uintptr(len(events)), uintptr(unsafe.Pointer(&events[0])), uintptr(unsafe.Pointer(&timeout)), 0)
	switch {
	case e == syscall.EINTR:
		return nil, nil
	case e != 0:
		return nil, os.NewSyscallError("io_getevents", e)
	}
	return events[:n], nil
}

// run keeps a task's requests in flight. Without direct I/O the kernel would do them one after the other at submission, so
// threads do them then, and also where the kernel has no asynchronous I/O to give.
func (f *file) run(ctx context.Context, t task) (result, error) {
	if !f.bypass || f.noAIO {
		return f.threads(ctx, t)
	}
	buf, err := aligned(t.depth * t.block)
	if err != nil {
		return result{}, err
	}
	defer release(buf)
	r, err := newRing(t.depth)
	if err != nil {
		f.noAIO = true
		return f.threads(ctx, t)
	}
	defer r.close() // before the memory goes
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer runtime.KeepAlive(f.direct) // the kernel knows the descriptor alone
	return r.drive(ctx, f, t, buf)
}

func (r *ring) drive(ctx context.Context, f *file, t task, buf []byte) (out result, err error) {
	var (
		requests = make([]iocb, t.depth)
		begun    = make([]time.Time, t.depth)
		events   = make([]event, t.depth)
		batch    = make([]*iocb, 0, t.depth)
		op       = uint16(opRead)
		issued   = 0
		flying   = 0
	)
	if t.write {
		op = opWrite
		stamp(buf, time.Now().UnixNano())
	}
	fd := uint32(f.direct.Fd())
	from := time.Now().Add(t.warmup)
	until := from.Add(t.length)
	last := from
	out.latency = make([]time.Duration, 0, 1<<16)
	issue := func(i int, now time.Time) {
		if now.After(until) || t.most > 0 && issued >= t.most {
			return
		}
		requests[i] = iocb{data: uint64(i), opcode: op, fd: fd, buf: uint64(uintptr(unsafe.Pointer(&buf[i*t.block]))), bytes: uint64(t.block), offset: t.next()}
		begun[i] = now
		batch = append(batch, &requests[i])
		issued++
	}
	for i := range requests {
		issue(i, time.Now())
	}
	for {
		flying += len(batch)
		if err := r.submit(batch); err != nil {
			return out, err
		}
		batch = batch[:0]
		if flying == 0 {
			break
		}
		done, err := r.wait(events)
		if err != nil {
			return out, err
		}
		now := time.Now()
		stopped := ctx.Err() != nil
		for _, e := range done {
			flying--
			if e.res != int64(t.block) {
				return out, fmt.Errorf("%d of %d bytes at %d: %w", e.res, t.block, requests[e.data].offset, errnoOf(e.res))
			}
			if i := int(e.data); begun[i].After(from) {
				out.count++
				out.latency = append(out.latency, now.Sub(begun[i]))
				last = now
			}
			if !stopped {
				issue(int(e.data), now)
			}
		}
	}
	out.elapsed = last.Sub(from)
	return out, ctx.Err()
}

func errnoOf(res int64) error {
	if res < 0 {
		return syscall.Errno(-res)
	}
	return syscall.EIO
}

func method(f *file) string {
	if f.bypass && !f.noAIO {
		return "linux aio"
	}
	return "threads"
}

package engine

import (
	"context"
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sys/unix"
)

// System calls of the epoll driver go to the kernel directly, also those that wait. Go's scheduler would take the worker's
// place to run away after 20 µs of each wait and give it back after it, and its monitor would never go to rest over that;
// at one connection this cost more processor time than everything else. A worker that waits keeps its place instead, which
// is why the engine asks for more of them than it has workers. A garbage collection is not held up: the runtime stops a
// thread with a signal, and these calls return with EINTR then instead of being restarted (signal(7): epoll_wait always,
// recv when the socket has a timeout).

// rawUnable says why a connection cannot be driven through its descriptor, "" when it can.
func rawUnable(pg *pgconn.PgConn) string {
	switch c := pg.Conn().(type) {
	case *net.UnixConn, *net.TCPConn:
		return ""
	default:
		if _, tls := c.(interface{ HandshakeContext(context.Context) error }); tls {
			return "the connection uses TLS"
		}
		return fmt.Sprintf("the connection is a %T", c)
	}
}

// adopt takes the descriptor out of a connection and closes the original, which would otherwise stay in Go's poller. pg
// is good for CancelRequest alone afterwards: it keeps address and key.
func adopt(ctx context.Context, pg *pgconn.PgConn) (fd int, err error) {
	if err := pg.SyncConn(ctx); err != nil {
		return 0, err
	}
	h, err := pg.Hijack()
	if err != nil {
		return 0, err
	}
	defer h.Conn.Close()
	sc, err := h.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := sc.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if cerr != nil {
		err = cerr
	}
	if err != nil {
		return 0, fmt.Errorf("taking over the socket: %w", err)
	}
	if err := unix.SetNonblock(fd, false); err != nil { // waiting is asked for call by call
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// receive reads what is there, without waiting.
func receive(fd int, buf []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// await reads, waiting until something is there, a signal comes, or the socket's timeout is over (EAGAIN).
func await(fd int, buf []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0, 0)
	return int(n), e
}

// transmit sends what the socket's buffer takes, without waiting.
func transmit(fd int, buf []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return int(n), e
}

// poll takes the events of an epoll instance: those that are there, or, when wait is set, the next ones.
func poll(ep int, events []unix.EpollEvent, wait bool) (int, syscall.Errno) {
	timeout := uintptr(0)
	if wait {
		timeout = ^uintptr(0)
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), timeout, 0, 0)
	return int(n), e
}

// setTimer lets a timerfd fire after d; 0 or less fires at once.
func setTimer(fd int, d time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(max(d, 1)))}
	_, _, _ = syscall.RawSyscall6(unix.SYS_TIMERFD_SETTIME, uintptr(fd), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
}

// ring adds to an eventfd; drain takes all from an eventfd or a timerfd.
func ring(fd int) {
	one := [8]byte{1} // in either byte order more than zero
	_, _, _ = syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&one)), 8)
}

func drain(fd int) {
	var n [8]byte
	_, _, _ = syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&n)), 8)
}

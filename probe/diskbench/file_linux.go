//go:build linux

package diskbench

import (
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

// unlink takes away a file's name; the file lives until it is closed.
func unlink(f *os.File) error { return os.Remove(f.Name()) }

// reopen opens a file once more, by its descriptor since it has no name, past the kernel's cache. A file system that does
// not do that is used through the cache; bypass says so.
func reopen(f *os.File) (direct *os.File, bypass bool, err error) {
	self := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	if direct, err = os.OpenFile(self, os.O_RDWR|syscall.O_DIRECT, 0); err == nil {
		buf, err := aligned(4096)
		if err != nil {
			return direct, false, err
		}
		defer release(buf)
		if _, err = direct.WriteAt(buf, 0); err == nil {
			return direct, true, nil
		}
		_ = direct.Close()
	}
	direct, err = os.OpenFile(self, os.O_RDWR, 0)
	return direct, false, err
}

// aligned is memory that starts at a page, as direct I/O wants it.
func aligned(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
}

func release(buf []byte) { _ = syscall.Munmap(buf) }

func datasync(f *os.File) error { return syscall.Fdatasync(int(f.Fd())) }

// settle writes a block through the cache and waits until it is safe. The system calls are raw, as those of ring are and for
// the same reason: neither is one that has anything to wait for but the disk.
func settle(f *os.File, block []byte, at int64) error {
	for len(block) > 0 {
		n, _, e := syscall.RawSyscall6(syscall.SYS_PWRITE64, f.Fd(), uintptr(unsafe.Pointer(&block[0])), uintptr(len(block)), uintptr(at), 0, 0)
		switch {
		case e == syscall.EINTR:
			continue
		case e != 0:
			return os.NewSyscallError("pwrite", e)
		}
		block, at = block[n:], at+int64(n)
	}
	if _, _, e := syscall.RawSyscall(syscall.SYS_FDATASYNC, f.Fd(), 0, 0); e != 0 {
		return os.NewSyscallError("fdatasync", e)
	}
	return nil
}

const dontNeed = 4 // POSIX_FADV_DONTNEED

// forget drops a file's clean pages from the kernel's cache.
func forget(f *os.File) {
	_, _, _ = syscall.Syscall6(syscall.SYS_FADVISE64, f.Fd(), 0, 0, dontNeed, 0, 0)
}

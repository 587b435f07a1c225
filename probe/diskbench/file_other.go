//go:build !linux

package diskbench

import "os"

func unlink(f *os.File) error { return os.Remove(f.Name()) }

// reopen gives the file itself: without direct I/O it goes through the cache.
func reopen(f *os.File) (direct *os.File, bypass bool, err error) { return f, false, nil }

func aligned(n int) ([]byte, error) { return make([]byte, n), nil }
func release([]byte)                {}
func datasync(f *os.File) error     { return f.Sync() }
func forget(*os.File)               {}

// settle writes a block through the cache and waits until it is safe.
func settle(f *os.File, block []byte, at int64) error {
	if _, err := f.WriteAt(block, at); err != nil {
		return err
	}
	return datasync(f)
}

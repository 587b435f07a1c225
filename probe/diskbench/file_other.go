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

//go:build !linux

package cluster

import (
	"os"
	"syscall"
)

func memoryFS(string) string         { return "" }
func freeBytes(string) (int64, bool) { return 0, false }
func reflink(_, _ *os.File) bool     { return false }
func dropCache(string)               {}

func syncFS(string) error {
	_ = syscall.Sync()
	return nil
}

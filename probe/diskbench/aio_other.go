//go:build !linux || !(amd64 || arm64)

package diskbench

import "context"

func (f *file) run(ctx context.Context, t task) (result, error) { return f.threads(ctx, t) }

func method(*file) string { return "threads" }

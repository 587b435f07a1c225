package rules

const (
	kB = int64(1) << 10
	mB = int64(1) << 20
	gB = int64(1) << 30
)

// step is the distance of human sizes around b: whole GB from 16 GB on, 64 MB around 500 MB, and so on.
func step(b int64) int64 {
	for _, s := range []struct{ from, step int64 }{
		{128 * gB, 4 * gB}, {16 * gB, gB}, {2 * gB, 512 * mB}, {gB, 256 * mB}, {256 * mB, 64 * mB}, {64 * mB, 16 * mB},
		{16 * mB, 4 * mB}, {4 * mB, mB}, {mB, 256 * kB},
	} {
		if b >= s.from {
			return s.step
		}
	}
	return 64 * kB
}

// down, up and nearest round a size to one that a person would have written.
func down(b int64) int64 { return b / step(b) * step(b) }

func up(b int64) int64 { return (b + step(b) - 1) / step(b) * step(b) }

func nearest(b int64) int64 { return (b + step(b)/2) / step(b) * step(b) }

package report

import (
	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/workload/engine"
	"pgfit/workload/rundoc"
)

// mergedHistogram is one histogram of a visit over all its operations.
func mergedHistogram(v rundoc.Visit, of func(rundoc.Op) string) *hdrhistogram.Histogram {
	all := hdrhistogram.New(engine.HistMin, engine.HistMax, engine.HistDigits)
	for _, o := range v.Ops {
		if h, err := hdrhistogram.Decode([]byte(of(o))); err == nil {
			all.Merge(h)
		}
	}
	return all
}

package pool

import (
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"

	"pgfit/workload/rundoc"
)

// Waits are the times in seconds that one caller in a thousand waited longer for a connection, by pool size: the longest
// over the scenarios' open-loop visits at the demanded rate.
func Waits(doc *rundoc.Document) map[int]float64 {
	out := map[int]float64{}
	rate := Rate(doc.Demand)
	for _, v := range doc.Visits {
		if v.Phase != "C" || v.Side != "" || rate == 0 || math.Abs(v.Rate-rate) > 0.01*rate {
			continue
		}
		for _, o := range v.Ops {
			if h, err := hdrhistogram.Decode([]byte(o.Wait)); err == nil && h.TotalCount() > 0 {
				out[v.PoolSize] = math.Max(out[v.PoolSize], float64(h.ValueAtQuantile(99.9))/1e6)
			}
		}
	}
	return out
}

package diskbench

import (
	"context"
	"time"

	"pgfit/probe"
)

// lastingParts is how many figures of each kind the lasting load gives.
const lastingParts = 10

// lastingDepth is that of the random reads: enough to use up credits.
const lastingDepth = 32

// lasting reads for a long time without a pause, in parts that are told one by one: disks that are rented are often faster
// until credits are used up, and a volume made from a snapshot is slower until all of it has been read. Three quarters of
// each part are random reads at a great depth, which use up credits for requests, the rest sequential ones, which use
// up those for bytes.
func (m *meter) lasting(ctx context.Context, length time.Duration) (*probe.Lasting, error) {
	ctx, cancel := context.WithTimeout(ctx, length*5/4)
	defer cancel()
	begun := time.Now()
	out := &probe.Lasting{Depth: lastingDepth}
	m.end, m.left = begun.Add(length), lastingParts
	for range lastingParts {
		part := m.step()
		random, err := m.f.run(ctx, task{block: page, depth: out.Depth, next: m.anywhere(page), length: part * 3 / 4})
		if err != nil {
			return nil, err
		}
		sequential, err := m.f.run(ctx, task{block: large, depth: 4, next: m.onwards(large), length: part / 4})
		if err != nil {
			return nil, err
		}
		out.IOPS, out.SeqReadRate = append(out.IOPS, random.rate()), append(out.SeqReadRate, sequential.rate()*large)
	}
	out.Seconds = time.Since(begun).Seconds()
	return out, nil
}

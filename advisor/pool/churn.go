package pool

import "math/rand/v2"

// churnEvents is the number of checkouts that a churn is counted over.
const churnEvents = 100_000

// Churn is the number of connections opened anew per checkout in a pool that opens total at most and keeps size when they
// are idle, with a mean of busy connections in use, Poisson arrivals and exponential hold times. It follows the code of
// SQLAlchemy's QueuePool (and of database/sql): a returned connection is closed only when size connections are idle already,
// so the swings of the busy count count, not its level. Seeded: the same figures, the same answer.
func Churn(size, total int, busy float64) float64 {
	if total < 1 || busy <= 0 {
		return 0
	}
	rng := rand.New(rand.NewPCG(0x6368, 0x75726e))
	used, idle, waiting, opened := 0, 0, 0, 0
	for checkouts := 0; checkouts < churnEvents; {
		// Which comes next, an arrival or a return? Only the order of events matters, not their times.
		if rng.Float64()*(busy+float64(used)) >= busy {
			switch {
			case waiting > 0: // handed on
				waiting--
				checkouts++
			case idle < size:
				used, idle = used-1, idle+1
			default:
				used--
			}
			continue
		}
		switch {
		case idle > 0:
			used, idle = used+1, idle-1
		case used < total:
			used++
			opened++
		default:
			waiting = min(waiting+1, churnEvents) // an overloaded pool queues without end
			continue
		}
		checkouts++
	}
	return float64(opened) / churnEvents
}

// steadySize is the smallest pool_size of at least the mean busy count with which opening connections costs at most 1 % of
// the hold time.
func steadySize(total int, busy, hold, connect float64) int {
	low := min(total, max(1, int(busy+0.999999)))
	high := total
	for low < high {
		mid := (low + high) / 2
		if Churn(mid, total, busy)*connect <= churnShare*hold {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// churnShare is what opening connections may cost, as a share of the time that they are held.
const churnShare = 0.01

// Package pool turns capacity curves and a demand into the application's pool: pool_size, max_overflow, pool_timeout,
// pool_recycle and the server's max_connections. It never recommends a total above the largest measured pool size, and it
// keeps the guide's own answer apart from the measured one.
package pool

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"pgfit/advisor"
	"pgfit/advisor/capacity"
	"pgfit/advisor/plan"
	"pgfit/advisor/queue"
	"pgfit/workload/rundoc"
)

// Ranges of the application's settings, from the house guide.
const (
	maxPoolSize, maxOverflow = 100, 100
	minTimeout, maxTimeout   = 1, 300
	usualTimeout             = 30 // the guide's: a policy, where no caller's deadline is known
	minRecycle, maxRecycle   = 300, 7200
	spare                    = 5    // connections for tools and rolling deploys
	usualConnect             = .005 // seconds to open a connection where it was not measured
)

// Input is what the advice rests on.
type Input struct {
	Curves      []capacity.Capacity
	Demand      rundoc.Demand
	CPUs        float64 // of the server, 0 when unknown
	Spindles    int     // of its disk; 0 for flash or cached data
	ConnectTime float64 // seconds to open a connection
	Reserved    int     // superuser_reserved_connections + reserved_connections
	Others      int     // connections of other applications
	Idle        float64 // smallest idle or lifetime limit on the way, seconds; 0 when none is known
	Writes      bool    // some scenario writes
	// Waits are the longest waits for a connection that were observed at the demanded rate, by pool size: see Waits.
	Waits map[int]float64
}

// Advise sizes the pool. Without a curve the advice is empty. Findings are R9, R13 and R14.
func Advise(in Input) (advisor.PoolAdvice, []advisor.Finding) {
	p := advisor.PoolAdvice{Processes: max(1, in.Demand.Processes), Method: advisor.Measured, Reasons: []string{}, Scenarios: []advisor.ScenarioPool{}}
	p.Comparators = comparators(in)
	if len(in.Curves) == 0 {
		return p, []advisor.Finding{{Code: "R1", Text: "no pool size was measured", Lift: "run a sweep", Blocks: true}}
	}
	p.Ceiling = ceiling(in.Curves)
	var findings []advisor.Finding
	for _, c := range in.Curves {
		findings = append(findings, plan.Beyond(c, p.Ceiling)...)
	}
	rate := Rate(in.Demand)
	need := p.Ceiling
	if rate > 0 {
		var hopeless []advisor.Finding
		need, hopeless = needs(in, rate, &p)
		findings = append(findings, hopeless...)
	} else {
		findings = append(findings, advisor.Finding{
			Code: "R14", Text: "the application's demand was not said: the pool is sized for the server's capacity, not for a load",
			Lift: "give --max-concurrent with --request-duration, or --rps",
		})
		p.Reasons = append(p.Reasons, fmt.Sprintf("%d connections carry what the server can do; more only queue inside it", p.Ceiling))
	}
	p.Total = min(need, p.Ceiling)
	findings = append(findings, split(in, &p)...)
	policy(in, &p)
	for i, c := range in.Curves {
		p.Scenarios[i] = waits(c, p.Scenarios[i], rate, &p)
	}
	p.MaxConnections = p.Processes*(p.PoolSize+p.MaxOverflow) + in.Others + in.Reserved + spare
	bouncer(in, &p)
	p.Reasons = append(p.Reasons, workers(in, &p)...)
	p.Drivers = Drivers(p)
	return p, findings
}

// Rate is the demand in requests a second that need a connection; 0 when it was not said.
func Rate(d rundoc.Demand) float64 {
	if d.RPS > 0 {
		return d.RPS
	}
	if d.MaxConcurrent > 0 && d.RequestDuration > 0 {
		return float64(d.MaxConcurrent) / d.RequestDuration
	}
	return 0
}

// ceiling is the pool size that suits every scenario: the smallest measured one that is as good as the best one under each, see
// capacity.AsGood; where none is, the one that gives away least where it gives away most.
func ceiling(curves []capacity.Capacity) int {
	if len(curves) == 1 {
		return curves[0].Chosen
	}
	var sizes []int
	for _, c := range curves {
		for _, l := range c.Levels {
			sizes = append(sizes, l.Pool)
		}
	}
	slices.Sort(sizes)
	least, top := 0, 0.0
	for _, n := range slices.Compact(sizes) {
		good, worst := true, 1.0
		for _, c := range curves {
			// A scenario that was not measured at n gets its ratio there from its neighbours.
			l, ratio := c.At(n), c.Throughput(float64(n))/c.At(c.Best).TPS
			good = good && (l.Good || l.Pool == 0 && ratio >= capacity.AsGood)
			worst = math.Min(worst, ratio)
		}
		if good {
			return n
		}
		if worst > top {
			least, top = n, worst
		}
	}
	return least
}

// needs is the largest need over the scenarios, with R9 where a scenario cannot carry the demand.
func needs(in Input, rate float64, p *advisor.PoolAdvice) (int, []advisor.Finding) {
	var findings []advisor.Finding
	need := 1
	for _, c := range in.Curves {
		s := advisor.ScenarioPool{Scenario: c.Scenario, Ceiling: c.Chosen, MaxRate: c.At(c.Chosen).TPS, Demand: rate}
		if over := plan.Overload(c, rate); over != nil {
			findings = append(findings, over...)
			s.Need = p.Ceiling
		} else {
			s.Need = smallest(c, rate, p.Ceiling, p.Processes)
			s.MeanBusy = rate * c.Hold
		}
		need = max(need, s.Need)
		p.Scenarios = append(p.Scenarios, s)
	}
	if need > p.Ceiling {
		with := fmt.Sprintf("%d connections", p.Ceiling)
		if p.Processes > 1 {
			with += fmt.Sprintf(" in %d pools", p.Processes)
		}
		p.Reasons = append(p.Reasons, fmt.Sprintf("at %.0f requests a second more than 1 %% have to wait with %s too; beyond that the server only gets slower, and waiting in the pool beats waiting in the server", rate, with))
	} else {
		p.Reasons = append(p.Reasons, fmt.Sprintf("at %.0f requests a second, %d connections keep the share that has to wait at 1 %% or less while the server is steady", rate, need))
	}
	return need, findings
}

// smallest is the smallest total, in equal pools of the processes, in which at most 1 % have to wait; one more than the
// ceiling when the ceiling does not do.
func smallest(c capacity.Capacity, rate float64, ceiling, processes int) int {
	for per := 1; per*processes <= max(ceiling, processes); per++ {
		if plan.FewWait(c, rate, processes, per) {
			return per * processes
		}
	}
	return ceiling + 1
}

// waits says what the recommended pools mean for one scenario.
func waits(c capacity.Capacity, s advisor.ScenarioPool, rate float64, p *advisor.PoolAdvice) advisor.ScenarioPool {
	if rate == 0 {
		return s
	}
	w := plan.Wait(c, rate, p.Processes, p.PerProcess)
	s.Utilisation = rate / c.Throughput(float64(p.Processes*p.PerProcess))
	if math.IsInf(w.Mean, 0) {
		s.WaitShare, s.WaitMean, s.WaitP99 = 1, -1, -1 // grows without end
		return s
	}
	s.MeanBusy, s.WaitShare, s.WaitMean, s.WaitP99 = w.Busy, w.Share, w.Mean, w.Quantile(0.99)
	return s
}

// workers says what the pool makes callers wait who are a fixed number, such as the worker threads of the application, and ask
// again only when they have been answered: less than callers who come at a rate whatever becomes of those before.
func workers(in Input, p *advisor.PoolAdvice) []string {
	d := in.Demand
	if d.RPS > 0 || d.MaxConcurrent == 0 || d.RequestDuration == 0 {
		return nil
	}
	var out []string
	for _, c := range in.Curves {
		think := d.RequestDuration - c.Idle
		w, err := queue.ClosedSplit(p.Processes, p.PoolSize+p.MaxOverflow, d.MaxConcurrent, think, c.Throughput)
		if err != nil {
			continue
		}
		out = append(out, fmt.Sprintf("%s: if the %d concurrent requests are as many workers, who ask again only when they have been answered, %.1f %% have to wait, %.3f ms in the mean over all",
			c.Scenario, d.MaxConcurrent, 100*w.P, 1e3*w.Mean))
	}
	return out
}

// split divides the total over the processes and each share into pool_size and max_overflow.
func split(in Input, p *advisor.PoolAdvice) []advisor.Finding {
	if len(p.Scenarios) == 0 {
		for _, c := range in.Curves {
			p.Scenarios = append(p.Scenarios, advisor.ScenarioPool{Scenario: c.Scenario, Ceiling: c.Chosen, MaxRate: c.At(c.Chosen).TPS})
		}
	}
	p.PerProcess = p.Total / p.Processes // rounded up they would be more in all than the server gains from, or than were measured
	if all := p.PerProcess * p.Processes; 0 < all && all < p.Total {
		p.Reasons = append(p.Reasons, fmt.Sprintf("%d connections over %d processes are %d each, %d in all: one more each would be more than the server gains from", p.Total, p.Processes, p.PerProcess, all))
	}
	if p.PerProcess > maxPoolSize+maxOverflow {
		p.Warnings = append(p.Warnings, fmt.Sprintf("a process may have %d connections, the most that the application takes, and not %d: more processes can use the rest", maxPoolSize+maxOverflow, p.PerProcess))
	}
	p.PerProcess = min(max(p.PerProcess, 1), maxPoolSize+maxOverflow)
	p.PoolSize = min(p.PerProcess, maxPoolSize)
	if rate := Rate(in.Demand); rate > 0 {
		// The largest over the scenarios of the sizes with which opening connections costs next to nothing.
		p.PoolSize = 1
		for _, c := range in.Curves {
			if c.Hold > 0 {
				p.PoolSize = max(p.PoolSize, steadySize(p.PerProcess, rate*c.Hold/float64(p.Processes), c.Hold, cmp.Or(in.ConnectTime, usualConnect)))
			}
		}
		p.PoolSize = min(p.PoolSize, maxPoolSize)
	}
	p.MaxOverflow = min(p.PerProcess-p.PoolSize, maxOverflow)
	return plan.TooFew(p.Total, p.Processes)
}

// policy sets pool_timeout and pool_recycle, which no throughput can identify: bounds are measured, the rest is policy.
func policy(in Input, p *advisor.PoolAdvice) {
	p.PoolTimeout, p.PoolRecycle = usualTimeout, 3600
	if in.Writes {
		p.PoolRecycle = 1800
	}
	if in.Idle > 0 {
		p.PoolRecycle = min(p.PoolRecycle, int(0.8*in.Idle))
	}
	p.PoolRecycle = min(max(p.PoolRecycle, minRecycle), maxRecycle)
	if in.Idle > 0 && float64(p.PoolRecycle) > in.Idle {
		p.Warnings = append(p.Warnings, fmt.Sprintf("the server ends connections that are idle for %g s (idle_session_timeout), sooner than pool_recycle, which the application takes from %d s on: it has to test connections before use (pre-ping)", in.Idle, minRecycle))
	}
	if burst := float64(p.Processes*p.PerProcess) * in.ConnectTime; burst > 1 {
		p.Warnings = append(p.Warnings, fmt.Sprintf("pool_recycle has no jitter: %d connections may be opened anew at once, %.1f s of work", p.Processes*p.PerProcess, burst))
	}
	rate := Rate(in.Demand)
	if rate == 0 {
		return
	}
	floor, why := timeoutFloor(in, p, rate)
	p.TimeoutFloor = floor
	p.PoolTimeout = max(usualTimeout, floor)
	reason := fmt.Sprintf("pool_timeout %d s is policy, the guide's, and outlasts a short stall or failover; the measured lower bound is %d s, %s", p.PoolTimeout, floor, why)
	if floor > usualTimeout {
		reason = fmt.Sprintf("pool_timeout %d s is the measured lower bound, %s; the guide's %d s would fail callers that only had to wait", floor, why, usualTimeout)
	}
	p.Reasons = append(p.Reasons, reason)
}

// timeoutFloor is the shortest sound pool_timeout in seconds, and what it comes from: ten times the wait that one caller in a
// thousand has, as predicted or as observed at the demanded rate, or the hold time that one in a thousand exceeds.
func timeoutFloor(in Input, p *advisor.PoolAdvice, rate float64) (seconds int, why string) {
	longest, why := 0.0, ""
	consider := func(t float64, what string) {
		if t > longest {
			longest, why = t, what
		}
	}
	for _, c := range in.Curves {
		l := c.At(c.Chosen)
		consider(math.Max(l.P99, l.Within(.999)), "the longest time that a connection is held (p99.9)")
		if w := plan.Wait(c, rate, p.Processes, p.PerProcess); !math.IsInf(w.Mean, 0) {
			consider(10*w.Quantile(0.999), "ten times the predicted wait (p99.9)")
		}
	}
	consider(10*in.Waits[p.Processes*(p.PoolSize+p.MaxOverflow)], "ten times the wait that was observed at this rate (p99.9)")
	if why == "" {
		why = "the least there is"
	}
	return min(max(int(math.Ceil(longest)), minTimeout), maxTimeout), why
}

// bouncer recommends PgBouncer where the processes are more than the connections that the server can use, or cannot use them all
// with whole connections each.
func bouncer(in Input, p *advisor.PoolAdvice) {
	clients := p.Processes * (p.PoolSize + p.MaxOverflow)
	few := p.Total < p.Processes
	unused := !few && slices.ContainsFunc(in.Curves, func(c capacity.Capacity) bool {
		return c.Throughput(float64(clients)) < capacity.AsGood*c.Throughput(float64(p.Total))
	})
	if !few && !unused {
		return
	}
	if unused {
		per := p.Total/p.Processes + 1
		p.Reasons = append(p.Reasons, fmt.Sprintf("PgBouncer in between lets %d processes share all %d, with pools of %d each", p.Processes, p.Total, per))
		clients = per * p.Processes
	}
	p.PgBouncer = &advisor.PgBouncer{
		DefaultPoolSize: p.Total, ReservePoolSize: p.Reserve(), MaxDBConnections: p.Ceiling, MaxClientConn: clients + spare,
		QueryWaitTimeout: max(120, p.PoolTimeout),
	}
}

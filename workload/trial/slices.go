package trial

import "time"

// A visit is cut into slices that take turns with those of the other side, because the speed of a shared machine wanders
// from second to second: on two virtual processors whole visits of one second next to each other differed by 10 % (standard
// deviation of ln B/A), slices of 300 ms that took turns over the same time by 5 %.
const (
	shortSlice = 250 * time.Millisecond
	longSlice  = time.Second
	fewSlices  = 8 // a longer visit has longer slices, up to longSlice
	// slowest is how many transactions, one after another, a slice has to hold, so that those under way at its ends do not
	// count. Where they take too long for that the visit is one piece.
	slowest = 20
)

// cut says how a visit is made.
type cut struct {
	slices  int
	length  time.Duration // of the measured part of each
	first   time.Duration // warm-up of the first
	between time.Duration // of each other one: what the other side has driven out of the processors' caches comes back
}

// cutOf cuts a visit of a scenario whose transactions take mean on average, 0 when that is not known.
func cutOf(measure, warmup, mean time.Duration) cut {
	length := min(max(measure/fewSlices, shortSlice), longSlice)
	n := max(1, int(measure/max(length, slowest*mean)))
	length = measure / time.Duration(n)
	return cut{slices: n, length: length, first: warmup, between: min(warmup, length/5)}
}

// time is how long the load of the visit lasts.
func (c cut) time() time.Duration {
	return c.first + time.Duration(c.slices)*c.length + time.Duration(c.slices-1)*(c.between+turning)
}

// turning is what it takes to freeze one server and thaw another (measured: 4 to 15 ms).
const turning = 15 * time.Millisecond

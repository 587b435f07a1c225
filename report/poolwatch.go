package report

import (
	"fmt"
	"io"
	"strings"

	"pgfit/probe/poolwatch"
)

// PoolHeader is the line above the lines of PoolLine.
const PoolHeader = "time      size   in  out over inval | active in-tx locks | opened closed | oldest   longest tx | server used | tx/s  needed"

// PoolLine writes one look at a pool as a line, and what is wrong below it.
func PoolLine(w io.Writer, s poolwatch.Sample) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %4d %4d %4d %4d %5d | %6d %5d %5d | %6d %6d | %-8s %-10s | %4d of %-4d | %5s %7.2f\n", s.At.Local().Format("15:04:05"), s.Size, s.CheckedIn,
		s.CheckedOut, s.Overflow, s.Invalid, s.Active, s.IdleInTransaction+s.Invalid, s.WaitingOnLocks, s.Opened, s.Closed, Seconds(s.OldestConnection),
		Seconds(s.OldestTransaction), s.ServerConnections, s.MaxConnections, Rate(s.TransactionsPerSecond), s.ConnectionsNeeded)
	for _, f := range s.Findings {
		fmt.Fprintf(&b, "          %s\n", f.Text)
		for line := range strings.Lines(f.Hint) {
			fmt.Fprintf(&b, "            %s\n", strings.TrimSpace(line))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

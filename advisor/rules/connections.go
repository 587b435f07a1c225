package rules

import (
	"fmt"
	"strconv"
)

// tools is how many connections beyond the pools are kept for psql, backups and an application that is being replaced.
const tools = 5

// maxConnections: the pools of all processes, the reserved slots and five for tools must get in. It is raised when they
// do not and never otherwise, since a higher ceiling lets more sessions work at once than the server gains from
// (connections.html: max_connections; the knee of the measured curve), costs locks and memory, and needs a restart.
// It is never lowered: a refused connection is worse than an unused slot. A known demand beside the measured
// pool (another application) would change its mind.
func maxConnections(s *situation) verdict {
	present, ok := s.next.Int("max_connections")
	if !ok {
		return verdict{}
	}
	if s.in.Pool.Total <= 0 {
		return verdict{keep: "no pool size was asked for or measured; it is never raised without need"}
	}
	need := int64(s.in.Pool.Total) + s.reserved() + tools
	if need <= present {
		return verdict{keep: fmt.Sprintf("%d are needed: %d of the pools, %d reserved, %d for tools", need, s.in.Pool.Total, s.reserved(), tools)}
	}
	return verdict{
		value:  strconv.FormatInt((need+9)/10*10, 10),
		reason: fmt.Sprintf("the pools can open %d connections; with %d reserved and %d for tools the server must take %d", s.in.Pool.Total, s.reserved(), tools, need),
		inputs: append(s.poolInputs(), input("needed", "%d", need)),
		source: "PostgreSQL manual, Connections and Authentication", confidence: "high",
		lift: "a smaller pool, fewer processes, or PgBouncer in between",
	}
}

// superuserReserved: with fewer than the default of three slots an administrator can be locked out of a full server
// (manual, superuser_reserved_connections). More than that is left as it is.
func superuserReserved(s *situation) verdict {
	n, ok := s.next.Int("superuser_reserved_connections")
	all, _ := s.next.Int("max_connections")
	switch {
	case !ok:
		return verdict{}
	case n >= 3 || all < 10:
		return verdict{keep: "enough for an administrator to get in when all other slots are taken"}
	}
	return verdict{value: "3", reason: "an administrator must get in when all other slots are taken",
		source: "PostgreSQL manual, superuser_reserved_connections", confidence: "high", lift: "an administrator who needs no connection of the server"}
}

// reservedConnections (16 and later) keeps slots for roles with pg_use_reserved_connections. It does nothing unless such
// a role exists, which pgfit does not know, so it stays.
func reservedConnections(s *situation) verdict {
	return verdict{keep: "of use only where a monitoring or backup role has pg_use_reserved_connections"}
}

// reserved slots of both kinds.
func (s *situation) reserved() int64 {
	a, _ := s.next.Int("superuser_reserved_connections")
	b, _ := s.next.Int("reserved_connections")
	return a + b
}

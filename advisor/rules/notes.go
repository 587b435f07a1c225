package rules

import (
	"fmt"
	"strings"

	"pgfit/advisor"
	"pgfit/advisor/budget"
	"pgfit/probe"
)

// notes are what a user should know beside the proposals: now is the server as it runs, then as it would be.
func notes(now, then *situation, proposals []advisor.Proposal) []probe.Warning {
	var out []probe.Warning
	out = append(out, durability(now)...)
	out = append(out, overBudget(now, then)...)
	out = append(out, pagesToReserve(now, then)...)
	out = append(out, overcommit(now, then)...)
	return append(out, standbyOrder(now, proposals)...)
}

// overBudget warns about the present configuration where its worst case does not fit.
func overBudget(s, then *situation) []probe.Warning {
	var out []probe.Warning
	b := s.worst(s.present)
	if b.Over {
		hint := "take the proposed values, or let fewer connections work at once"
		if then.worst(then.next).Over {
			hint = "let fewer connections work at once (a smaller pool, a lower max_connections), or give the server more memory"
		}
		out = append(out, probe.Warning{Code: "memory-over-budget",
			Text: fmt.Sprintf("the present settings can take %s of memory at worst, of %s that may be used: %s", roughly(b.Total), roughly(b.Limit), sum(b)),
			Hint: hint})
	}
	if b.DiskOver {
		out = append(out, probe.Warning{Code: "wal-over-disk",
			Text: fmt.Sprintf("pg_wal may grow to %s, and its volume has %s free; the server stops when it is full", roughly(b.WALDisk), roughly(b.DiskFree)),
			Hint: "free space on the volume, or lower max_wal_size and wal_keep_size"})
	}
	if b.RecoveryOver {
		out = append(out, probe.Warning{Code: "recovery-over-budget",
			Text: fmt.Sprintf("a crash recovery with the present settings may take %.0f s, at an assumed %s; %.0f s were asked for", b.Recovery, rateText(budget.ReplayRate(s.facts)), b.RecoveryLimit),
			Hint: "time a recovery on this machine, or lower checkpoint_timeout or max_wal_size"})
	}
	return out
}

// sum writes the largest terms of a budget as a sum.
func sum(b advisor.Budget) string {
	terms := make([]string, 0, len(b.Memory))
	for _, line := range b.Memory {
		if line.Bytes > 0 {
			terms = append(terms, line.What+" "+roughly(line.Bytes))
		}
	}
	return strings.Join(terms, " + ")
}

// pagesToReserve gives the kernel's huge page count from 8 GB of shared_buffers on (a choice: below it the gain does not
// show), with the line for sysctl.
func pagesToReserve(now, then *situation) []probe.Warning {
	buffers := size(then.next, "shared_buffers")
	if buffers < manyBuffers || then.next.Text("huge_pages") == "off" || now.managed() || now.facts.Host.OS != "linux" && now.facts.Host.OS != "" {
		return nil
	}
	page, ok := now.facts.Host.HugePageBytes.Get()
	if !ok {
		page = 2 * mB
	}
	n, exact := budget.HugePages(now.present, then.next, page)
	if free, ok := now.facts.Host.HugePagesTotal.Get(); ok && free >= n {
		return nil
	}
	hint := fmt.Sprintf("put vm.nr_hugepages = %d into /etc/sysctl.d/ before the restart", n)
	if !exact {
		how := "; the figure is an upper estimate"
		if then.major() >= 15 {
			how += fmt.Sprintf(", exact is: postgres -D DATA -C shared_memory_size_in_huge_pages -c shared_buffers=%s (server stopped)", show(then.next["shared_buffers"], then.next.Text("shared_buffers")))
		}
		hint += how
	}
	return []probe.Warning{{Code: "huge-pages", Hint: hint,
		Text: fmt.Sprintf("%s of shared_buffers are worth huge pages: %d of %s", roughly(buffers), n, roughly(page))}}
}

// overcommit checks the kernel's own limit where it refuses to promise more memory than there is.
func overcommit(now, then *situation) []probe.Warning {
	mode, ok := now.facts.Host.Overcommit.Get()
	limit, known := now.facts.Host.Memory.CommitMax.Get()
	if !ok || !known || mode != 2 {
		return nil
	}
	if need := then.worst(then.next).Total; need > limit {
		return []probe.Warning{{Code: "commit-limit", Text: fmt.Sprintf("vm.overcommit_memory is 2 and the kernel promises no more than %s; the settings can take %s at worst", roughly(limit), roughly(need)),
			Hint: "raise vm.overcommit_ratio, or add swap"}}
	}
	return nil
}

// onStandbys are the settings that a standby must not have smaller than its primary.
var onStandbys = map[string]bool{"max_connections": true, "max_worker_processes": true, "max_wal_senders": true, "max_prepared_transactions": true, "max_locks_per_transaction": true}

// standbyOrder: a standby with a smaller value than the primary pauses or refuses to start (manual, Hot Standby). Every
// proposal of these settings raises it.
func standbyOrder(s *situation, proposals []advisor.Proposal) []probe.Warning {
	n, _ := s.facts.Server.Standbys.Get()
	if n == 0 && !s.facts.Server.InRecovery {
		return nil
	}
	var names []string
	for _, p := range proposals {
		if onStandbys[p.Name] {
			names = append(names, p.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []probe.Warning{{Code: "standby-order", Text: "standbys need the same or a larger " + strings.Join(names, ", ") + " than the primary",
		Hint: "raise it on the standbys first and restart them, then on the primary"}}
}

package rules

import (
	"pgfit/advisor"
	"pgfit/advisor/budget"
)

// Restate is the budget and the notes of advice from which proposals were taken away: of the patch as it is written.
func Restate(in Input, out *advisor.Settings) {
	present := in.Facts.Server.Settings
	values := map[string]string{}
	for _, p := range out.Proposals {
		if canonical, err := present[p.Name].Parse(p.Proposed); err == nil {
			values[p.Name] = canonical
		}
	}
	next := budget.Overlay(present, values)
	s := survey(in, next)
	out.Budget = s.worst(next)
	out.Notes = notes(survey(in, present), s, out.Proposals)
}

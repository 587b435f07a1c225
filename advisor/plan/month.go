package plan

import (
	"fmt"
	"math"
	"time"
)

// farMonths is how far ahead a month is named: ten years.
const farMonths = 120

// grow says when the demand, growing by in.Growth a month from the time of the run on, reaches the highest rate.
func (p *Plan) grow(in Input) {
	if in.Growth <= 0 {
		return
	}
	months := func(rate float64) float64 { return math.Max(0, math.Log(rate/in.Rate)/math.Log1p(in.Growth)) }
	m := Figure{months(p.MaxRate.Value), months(p.MaxRate.Low), months(p.MaxRate.High)}
	p.Months = &m
	p.Ends = month(in.Started, m.Value)
	p.EndsRange = fmt.Sprintf("%s to %s", month(in.Started, m.Low), month(in.Started, m.High))
}

// month names the month that lies so many months after the run.
func month(started string, months float64) string {
	t, err := time.Parse(time.RFC3339, started)
	switch {
	case months > farMonths:
		return "more than ten years on"
	case err != nil:
		return fmt.Sprintf("month %.0f", math.Floor(months))
	}
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	days := float64(t.Day()-1) / 30.44
	return first.AddDate(0, int(math.Floor(months+days)), 0).Format("2006-01")
}

// PerMonth turns a growth per month or year into one per month. False for other units.
func PerMonth(growth float64, unit string) (float64, bool) {
	switch unit {
	case "month":
		return growth, true
	case "year":
		return math.Pow(1+growth, 1.0/12) - 1, true
	}
	return 0, false
}

package export

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Catalogue is what a managed service says can be set, by name. It comes from the service's own command, so that it is
// never out of date. A nil Catalogue refuses nothing.
type Catalogue map[string]Parameter

// Parameter is one entry of a provider's catalogue.
type Parameter struct {
	Modifiable bool
	Restart    bool
	Allowed    string // "64-2147483647", "on,off", or both kinds; "" for anything
}

// ParseCatalogue reads the JSON of one of
//
//	aws rds describe-db-parameters --db-parameter-group-name G
//	gcloud sql flags list --database-version POSTGRES_16 --format json
//	az postgres flexible-server parameter list -g G -s S -o json
//
// and tells them apart by their keys.
func ParseCatalogue(data []byte) (Catalogue, error) {
	var aws struct {
		Parameters []struct {
			ParameterName, ApplyType, AllowedValues string
			IsModifiable                            bool
		}
	}
	var list []struct {
		Name                        string
		Type                        string
		AllowedStringValues         []string
		MinValue, MaxValue          json.Number
		RequiresRestart             bool
		AllowedValues               string
		IsDynamicConfig, IsReadOnly *bool
	}
	all := Catalogue{}
	if errAWS := json.Unmarshal(data, &aws); errAWS == nil {
		for _, p := range aws.Parameters {
			all[p.ParameterName] = Parameter{p.IsModifiable, p.ApplyType == "static", p.AllowedValues}
		}
	} else if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("reading the provider's catalogue: %w", err)
	}
	for _, p := range list {
		e := Parameter{Modifiable: true, Restart: p.RequiresRestart, Allowed: strings.Join(p.AllowedStringValues, ",")}
		switch {
		case p.IsReadOnly != nil: // Azure
			e = Parameter{Modifiable: !*p.IsReadOnly, Restart: p.IsDynamicConfig != nil && !*p.IsDynamicConfig, Allowed: p.AllowedValues}
		case p.MinValue != "" || p.MaxValue != "":
			e.Allowed = or(string(p.MinValue), "0") + "-" + string(p.MaxValue)
		}
		if p.Name != "" {
			all[p.Name] = e
		}
	}
	if len(all) == 0 {
		return nil, errors.New("reading the provider's catalogue: it names no parameter")
	}
	return all, nil
}

// refuse checks an item, and takes over from the provider whether it needs a restart.
func (c Catalogue) refuse(it *item) string {
	if c == nil {
		return ""
	}
	p, ok := c[it.Name]
	switch {
	case !ok:
		return "not in the service's catalogue"
	case !p.Modifiable:
		return "the service does not let it be changed"
	case !allowed(p.Allowed, it.base) && !allowed(p.Allowed, bit(*it, it.base)):
		return "the service allows " + p.Allowed + ", and this is " + it.base
	}
	it.restart = p.Restart
	return ""
}

// allowed reads "64-2147483647" and "on,off,1-10". A form it does not know allows everything.
func allowed(list, value string) bool {
	if list == "" {
		return true
	}
	v, err := strconv.ParseFloat(value, 64)
	numeric := err == nil
	known := false
	for _, part := range strings.Split(list, ",") {
		part = strings.TrimSpace(part)
		if strings.EqualFold(part, value) {
			return true
		}
		lo, hi, ok := bounds(part)
		if ok {
			known = true
			if numeric && v >= lo && v <= hi {
				return true
			}
		} else if strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") == "" {
			known = true
		}
	}
	return !known
}

// bounds reads LOW-HIGH, where both may be negative.
func bounds(s string) (lo, hi float64, ok bool) {
	for i := 1; i < len(s)-1; i++ {
		if s[i] != '-' {
			continue
		}
		a, errA := strconv.ParseFloat(s[:i], 64)
		b, errB := strconv.ParseFloat(s[i+1:], 64)
		if errA == nil && errB == nil {
			return a, b, true
		}
	}
	return 0, 0, false
}

package target

import "sort"

// Value is one effective value and where it came from.
type Value struct {
	Name   string `json:"name"`
	Value  string `json:"value"` // Masked for a secret
	Origin string `json:"origin"`
}

// Values are all effective values in alphabetical order, secrets masked: what `config show --origin` prints.
func (t Target) Values() []Value {
	out := make([]Value, 0, len(t.values))
	for name, value := range t.values {
		out = append(out, Value{name, value, t.Origins[name]})
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

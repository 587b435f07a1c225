package guc

import (
	"embed"
	"encoding/json"
	"fmt"
)

//go:embed catalogue/*.json
var catalogue embed.FS

// The majors that the catalogue has.
const (
	OldestMajor = 13
	NewestMajor = 18
)

// Catalogue returns every setting of an untouched server of the given major, 13 to 18, as one build showed it. A target's
// own pg_settings is always the better source: minor versions add settings and builds differ in enumvals.
func Catalogue(major int) (Settings, error) {
	data, err := catalogue.ReadFile(fmt.Sprintf("catalogue/%d.json", major))
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL %d: the catalogue of settings has %d to %d", major, OldestMajor, NewestMajor)
	}
	var rows []Setting
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, fmt.Errorf("reading the catalogue of PostgreSQL %d: %w", major, err)
	}
	all := make(Settings, len(rows))
	for _, row := range rows {
		if row.ResetVal == "" {
			row.ResetVal = row.Value
		}
		all[row.Name] = row
	}
	return all, nil
}

// Fresh tells whether the setting still has the value that initdb gives: the built-in default, or what initdb itself
// writes into postgresql.conf. Source alone does not tell, since initdb's values have source "configuration file".
func (s Setting) Fresh(major int) bool {
	all, err := Catalogue(major)
	if err != nil {
		return s.Source == "default"
	}
	fresh, ok := all[s.Name]
	return ok && fresh.Value == s.Value
}

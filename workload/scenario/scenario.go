// Package scenario knows what a scenario and its data set say: tables, columns, statements, weights. It reads them from
// YAML and refuses what it does not know. It opens no connection; load fills the tables and engine runs the scripts.
package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"

	"pgfit/workload/script"
)

// ErrProfile is wrapped by every error about a scenario's or data set's text.
var ErrProfile = errors.New("not a valid profile")

// Classes of a scenario, which decide how its measurements are used.
const (
	Read     = "read"
	Write    = "write"
	Mixed    = "mixed"
	Analytic = "analytic"
)

// Scenario is a mix of transactions over one data set.
type Scenario struct {
	Name         string        `yaml:"name"`
	Title        string        `yaml:"title"`
	Source       string        `yaml:"source"`
	Dataset      string        `yaml:"dataset"`
	Class        string        `yaml:"class"` // read, write, mixed, analytic
	Transactions []Transaction `yaml:"transactions"`
}

// Transaction is one script in pgbench's language and its share of the mix.
type Transaction struct {
	Name   string `yaml:"name"`
	Weight int    `yaml:"weight"`
	Script string `yaml:"script"`

	Parsed *script.Script `yaml:"-"`
}

// Dataset is a set of tables whose size is a multiple of one unit.
type Dataset struct {
	Name      string  `yaml:"name"`
	Title     string  `yaml:"title"`
	Source    string  `yaml:"source"`
	UnitBytes int64   `yaml:"unit_bytes"` // on disk for one unit, indexes included
	Tables    []Table `yaml:"tables"`
}

// Table is created in schema pgfit, filled, and then given its keys and indexes.
type Table struct {
	Name    string   `yaml:"name"`
	Rows    int64    `yaml:"rows"` // a unit
	With    string   `yaml:"with"` // storage parameters
	Columns []Column `yaml:"columns"`
	After   []string `yaml:"after"` // SQL after loading; :rows and :next (rows + 1) are put in
}

// Column says the type of a column and how its values are made.
type Column struct {
	Name   string `yaml:"name"`
	Type   string `yaml:"type"` // bigint, integer, smallint, text, character(n), timestamptz, timestamp
	Gen    string `yaml:"gen"`  // serial, uniform, ref, group, cycle, text, blank, null
	Min    int64  `yaml:"min"`
	Max    int64  `yaml:"max"`    // timestamps: seconds after 2024-01-01 UTC
	Length int    `yaml:"length"` // text
	Ref    string `yaml:"ref"`    // the table whose serial is meant
	Per    int64  `yaml:"per"`    // group: rows with the same value; cycle: length
}

// Load reads one scenario and its data set from fsys (scenarios/NAME.yaml, datasets/NAME.yaml). A name that ends in
// .yaml is a path handed to readFile instead, whose data set may be one of fsys.
func Load(fsys fs.FS, name string, readFile func(string) ([]byte, error)) (Scenario, Dataset, error) {
	var text []byte
	var err error
	if strings.HasSuffix(name, ".yaml") || strings.HasSuffix(name, ".yml") {
		text, err = readFile(name)
	} else {
		text, err = fs.ReadFile(fsys, path.Join("scenarios", name+".yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			return Scenario{}, Dataset{}, fmt.Errorf("scenario %q: %w: there are %s, or the path of a .yaml file", name, ErrProfile,
				strings.Join(Names(fsys), ", "))
		}
	}
	if err != nil {
		return Scenario{}, Dataset{}, fmt.Errorf("scenario %q: %w", name, err)
	}
	sc, err := Parse(name, text)
	if err != nil {
		return Scenario{}, Dataset{}, err
	}
	text, err = fs.ReadFile(fsys, path.Join("datasets", sc.Dataset+".yaml"))
	if err != nil {
		return Scenario{}, Dataset{}, fmt.Errorf("scenario %q: data set %q: %w", name, sc.Dataset, ErrProfile)
	}
	ds, err := ParseDataset(sc.Dataset, text)
	return sc, ds, err
}

// Names lists the scenarios of fsys in alphabetical order.
func Names(fsys fs.FS) []string {
	files, _ := fs.Glob(fsys, "scenarios/*.yaml")
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(path.Base(f), ".yaml"))
	}
	sort.Strings(names)
	return names
}

// Parse reads a scenario from YAML and compiles its scripts.
func Parse(file string, text []byte) (Scenario, error) {
	var sc Scenario
	if err := decode(file, text, &sc); err != nil {
		return sc, err
	}
	switch {
	case sc.Name == "" || sc.Dataset == "":
		return sc, fmt.Errorf("%s: %w: name and dataset are needed", file, ErrProfile)
	case !slices.Contains([]string{Read, Write, Mixed, Analytic}, sc.Class):
		return sc, fmt.Errorf("%s: %w: class %q: want read, write, mixed or analytic", file, ErrProfile, sc.Class)
	case len(sc.Transactions) == 0:
		return sc, fmt.Errorf("%s: %w: no transactions", file, ErrProfile)
	}
	for i := range sc.Transactions {
		tx := &sc.Transactions[i]
		if tx.Name == "" || tx.Weight < 1 {
			return sc, fmt.Errorf("%s: %w: transaction %d needs a name and a weight of at least 1", file, ErrProfile, i+1)
		}
		parsed, err := script.Parse(tx.Name, tx.Script, script.Options{})
		if err != nil {
			return sc, fmt.Errorf("%s: %w: %w", file, ErrProfile, err)
		}
		tx.Parsed = parsed
	}
	return sc, nil
}

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// ParseDataset reads a data set from YAML.
func ParseDataset(file string, text []byte) (Dataset, error) {
	var ds Dataset
	if err := decode(file, text, &ds); err != nil {
		return ds, err
	}
	if ds.Name == "" || ds.UnitBytes <= 0 || len(ds.Tables) == 0 {
		return ds, fmt.Errorf("%s: %w: name, unit_bytes and tables are needed", file, ErrProfile)
	}
	for _, t := range ds.Tables {
		if !plainName.MatchString(t.Name) || t.Rows < 0 || len(t.Columns) == 0 {
			return ds, fmt.Errorf("%s: %w: table %q needs a plain name, rows of at least 0 and columns", file, ErrProfile, t.Name)
		}
		for _, c := range t.Columns {
			if err := c.check(ds); err != nil {
				return ds, fmt.Errorf("%s: %w: column %s.%s: %w", file, ErrProfile, t.Name, c.Name, err)
			}
		}
	}
	return ds, nil
}

func (c Column) check(ds Dataset) error {
	base, _, _ := strings.Cut(c.Type, "(")
	texty := base == "text" || base == "character"
	switch {
	case !plainName.MatchString(c.Name):
		return errors.New("want a plain name")
	case !slices.Contains([]string{"bigint", "integer", "smallint", "text", "character", "timestamptz", "timestamp"}, base):
		return fmt.Errorf("unknown type %q", c.Type)
	case c.Gen == "null":
		return nil
	case (c.Gen == "text" || c.Gen == "blank") != texty:
		return fmt.Errorf("gen %q does not make values of type %s", c.Gen, c.Type)
	case texty && (c.Length < 1 || c.Length > 4000):
		return errors.New("length must be 1 to 4000")
	case c.Gen == "ref" && !slices.ContainsFunc(ds.Tables, func(t Table) bool { return t.Name == c.Ref }):
		return fmt.Errorf("ref %q is no table of the data set", c.Ref)
	case (c.Gen == "group" || c.Gen == "cycle") && c.Per < 1:
		return errors.New("per must be at least 1")
	case c.Gen == "uniform" && c.Max < c.Min:
		return errors.New("max is below min")
	case !slices.Contains([]string{"serial", "uniform", "ref", "group", "cycle", "text", "blank"}, c.Gen):
		return fmt.Errorf("unknown gen %q", c.Gen)
	}
	return nil
}

func decode(file string, text []byte, into any) error {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("empty file")
		}
		return fmt.Errorf("%s: %w: %s", file, ErrProfile, strings.ReplaceAll(err.Error(), "\n", ""))
	}
	return nil
}

// Rows is how many rows each table gets for a scale.
func (d Dataset) Rows(scale int64) map[string]int64 {
	rows := make(map[string]int64, len(d.Tables))
	for _, t := range d.Tables {
		rows[t.Name] = t.Rows * scale
	}
	return rows
}

// Scale is the number of units for about so many bytes, at least 1.
func (d Dataset) Scale(bytes int64) int64 { return max(1, bytes/d.UnitBytes) }

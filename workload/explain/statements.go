package explain

import (
	"fmt"
	"strings"

	"pgfit/workload/scenario"
	"pgfit/workload/script"
)

// statement is one SQL command with its values put in.
type statement struct {
	name string // of the transaction, with a number where it has several
	sql  string
}

// statements are the commands of one transaction that have a plan, as far as they can be had without running it: what
// follows on a \gset needs its rows.
func statements(tx scenario.Transaction, vars map[string]string, seed uint64) ([]statement, error) {
	client, err := script.NewClient([]*script.Script{tx.Parsed}, seed, 0, vars)
	if err != nil {
		return nil, err
	}
	s := client.Session(0)
	s.Begin()
	var out []statement
	for {
		step, err := s.Next()
		if err != nil || step.Kind == script.Done {
			break // an error is the missing row of a \gset
		}
		if step.Kind != script.Query {
			continue
		}
		if sql := strings.TrimRight(string(s.Simple(nil, step.Stmt)), "; \n\t\r"); planned(sql) {
			out = append(out, statement{tx.Name, sql})
		}
	}
	for i := range out {
		if len(out) > 1 {
			out[i].name = fmt.Sprintf("%s %d", tx.Name, i+1)
		}
	}
	return out, nil
}

// planned tells whether EXPLAIN takes the command.
func planned(sql string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(sql), " ")
	switch strings.ToUpper(word) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "TABLE", "MERGE":
		return true
	}
	return false
}

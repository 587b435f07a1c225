package patch

import "strings"

// quotedLists are the settings whose elements the server quotes one by one (GUC_LIST_QUOTE; pg_dump's dumputils.c has the
// same list). Extensions cannot add to it. A list written as one string would become one library of that name.
var quotedLists = map[string]bool{
	"local_preload_libraries": true, "search_path": true, "session_preload_libraries": true, "shared_preload_libraries": true,
	"temp_tablespaces": true, "unix_socket_directories": true,
}

const reloadSQL = "SELECT pg_reload_conf();\n"

// statements writes alter-system.sql and rollback.sql. ALTER SYSTEM runs in no transaction, so each is a statement of
// its own.
func (m *maker) statements() {
	var set, back, later strings.Builder
	var restart []string
	for _, a := range m.out.Applied {
		text, ok := AlterSystem(a.Name, a.Value)
		if !ok {
			m.out.Notes = append(m.out.Notes, a.Name+" = '' is not in alter-system.sql: ALTER SYSTEM would make it a list with one empty element")
			continue
		}
		if !a.Known && strings.Contains(a.Name, ".") { // the server takes it only with the module loaded, and psql would stop
			later.WriteString("-- Once its module is loaded: " + text)
			continue
		}
		set.WriteString(text)
		if a.Restart {
			restart = append(restart, a.Name)
		}
		undo := "ALTER SYSTEM RESET " + a.Name + ";\n"
		if _, value, had := m.auto(a.Name); had {
			if text, ok := AlterSystem(a.Name, value); ok {
				undo = text
			}
		}
		back.WriteString(undo)
	}
	if set.Len()+later.Len() == 0 {
		return
	}
	head := ""
	if len(restart) > 0 {
		head = "-- In force only after a restart: " + strings.Join(restart, ", ") + "\n"
	}
	m.out.AlterSystem = head + set.String() + reloadSQL + later.String()
	m.out.RollbackSQL = head + back.String() + reloadSQL
}

// AlterSystem is the statement that sets name, ending in a newline; false for the one thing it cannot say, an empty list
// of quoted elements.
func AlterSystem(name, value string) (string, bool) {
	text := literal(value)
	if quotedLists[strings.ToLower(name)] {
		var all []string
		for _, e := range elements(value) {
			all = append(all, literal(e))
		}
		if len(all) == 0 {
			return "", false
		}
		text = strings.Join(all, ", ")
	}
	return "ALTER SYSTEM SET " + identifier(name) + " = " + text + ";\n", true
}

// identifier quotes what is not a plain name; the two parts of a module's setting stand apart.
func identifier(name string) string {
	parts := strings.SplitN(name, ".", 2)
	for i, p := range parts {
		if strings.ContainsFunc(p, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }) {
			parts[i] = `"` + strings.ReplaceAll(p, `"`, `""`) + `"`
		}
	}
	return strings.Join(parts, ".")
}

// literal is an SQL string that reads the same whatever standard_conforming_strings says.
func literal(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.ContainsAny(s, "\\\n\r") {
		r := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
		return "E" + r.Replace(quoted)
	}
	return quoted
}

// elements splits a list as the server does (SplitIdentifierString, SplitDirectoriesString): commas outside double
// quotes, blanks around elements dropped, "" inside quotes is one.
func elements(list string) []string {
	var all []string
	var b strings.Builder
	inQuotes, was := false, false
	flush := func() {
		e := b.String()
		if !was {
			e = strings.TrimSpace(e)
		}
		if e != "" || was {
			all = append(all, e)
		}
		b.Reset()
		was = false
	}
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case c == '"' && inQuotes && i+1 < len(list) && list[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			if !inQuotes && !was {
				b.Reset() // blanks in front of the quote
			}
			inQuotes, was = !inQuotes, true
		case c == ',' && !inQuotes:
			flush()
		case was && !inQuotes: // blanks behind the quote
		default:
			b.WriteByte(c)
		}
	}
	flush()
	return all
}

package apppatch

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// diff is a unified diff without a line that holds a secret; false when there is none. The context shrinks where a secret
// stands near: patch and git take a hunk with less of it.
func diff(name string, before, after []byte) ([]byte, bool) {
	edits := udiff.Lines(string(before), string(after))
	for context := 3; context >= 1; context-- {
		text, err := udiff.ToUnified("a/"+name, "b/"+name, string(before), edits, context)
		if err != nil {
			return nil, false
		}
		if out, ok := trim(text); ok {
			return []byte(out), true
		}
	}
	return nil, false
}

// trim takes context lines off both ends of each hunk until no secret is left; false when one is left inside, or when no
// context would follow, which git takes for the end of the file.
func trim(text string) (string, bool) {
	var out strings.Builder
	lines := strings.SplitAfter(text, "\n")
	for i := 0; i < len(lines); {
		if !strings.HasPrefix(lines[i], "@@") {
			out.WriteString(lines[i])
			i++
			continue
		}
		end := i + 1
		for end < len(lines) && !strings.HasPrefix(lines[end], "@@") {
			end++
		}
		h, ok := trimHunk(lines[i], lines[i+1:end])
		if !ok {
			return "", false
		}
		out.WriteString(h)
		i = end
	}
	return out.String(), true
}

func trimHunk(head string, body []string) (string, bool) {
	var from, to int
	if n, _ := fmt.Sscanf(strings.ReplaceAll(strings.ReplaceAll(head, ",", " , "), "@@", ""), " -%d", &from); n != 1 {
		return "", false
	}
	if _, rest, ok := strings.Cut(head, "+"); !ok {
		return "", false
	} else if n, _ := fmt.Sscanf(rest, "%d", &to); n != 1 {
		return "", false
	}
	first, last := 0, len(body)-1
	for i, line := range body { // up to the first change
		if !strings.HasPrefix(line, " ") {
			break
		}
		if Secret(line[1:]) {
			first = i + 1
		}
	}
	for last >= 0 && body[last] == "" {
		last--
	}
	changed := last
	for changed > 0 && strings.HasPrefix(body[changed], " ") {
		changed--
	}
	for i := changed + 1; i <= last; i++ {
		if strings.HasPrefix(body[i], " ") && Secret(body[i][1:]) {
			if i == changed+1 {
				return "", false
			}
			last = i - 1
		}
	}
	return writeHunk(from+first, to+first, body[first:last+1])
}

func writeHunk(from, to int, body []string) (string, bool) {
	olds, news := 0, 0
	for _, line := range body {
		if line != "" && line[0] != '\\' && Secret(line[1:]) {
			return "", false
		}
		switch {
		case strings.HasPrefix(line, "-"):
			olds++
		case strings.HasPrefix(line, "+"):
			news++
		case strings.HasPrefix(line, " "):
			olds, news = olds+1, news+1
		}
	}
	return fmt.Sprintf("@@ -%d,%d +%d,%d @@\n", from, olds, to, news) + strings.Join(body, ""), true
}

// secretKey is a name whose value is a secret; secretURL a URL with a password.
var (
	secretKey = regexp.MustCompile(`(?i)(password|passwd|passphrase|_pw|secret|token|api_?key|private_?key|credential)[A-Za-z0-9_]*["']?\s*[:=]\s*["']?[^"'\s#]`)
	secretURL = regexp.MustCompile(`://[^/\s@:]*:[^\s@]+@`)
)

// Secret tells whether a line of config.yaml or .env may hold a secret. It errs on the safe side.
func Secret(line string) bool { return secretKey.MatchString(line) || secretURL.MatchString(line) }

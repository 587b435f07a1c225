package unified

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Every hunk is where its header says, in both files, and as long.
func TestHeaders(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		before, after := files(rng)
		check(t, Diff("a/f", "b/f", before, after), before, after)
		check(t, Diff("b/f", "a/f", after, before), after, before)
	}
	check(t, Diff("a/f", "b/f", "", "x\ny\n"), "", "x\ny\n")
	check(t, Diff("a/f", "b/f", "x\n", ""), "x\n", "")
}

// files are a file of numbered lines and a copy with lines changed, put in and taken out.
func files(rng *rand.Rand) (before, after string) {
	var b, a strings.Builder
	for i := range 5 + rng.IntN(60) {
		line := fmt.Sprintf("line %d\n", i)
		b.WriteString(line)
		switch rng.IntN(16) {
		case 0:
			a.WriteString("changed " + line)
		case 1:
			a.WriteString(line + "more\nand more\n")
		case 2:
		default:
			a.WriteString(line)
		}
	}
	cut := func(text string) string { return text[:len(text)-min(len(text), rng.IntN(2))] } // the last newline
	return cut(b.String()), cut(a.String())
}

func check(t *testing.T, diff, before, after string) {
	t.Helper()
	if err := misplaced(diff, before, after); err != nil {
		t.Fatalf("%v\n%s", err, diff)
	}
}

// misplaced is what is wrong with a diff of two texts, hunk by hunk.
func misplaced(diff, before, after string) error {
	olds, news := strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n")
	lines := strings.SplitAfter(diff, "\n")
	for i := 2; i < len(lines); {
		if lines[i] == "" {
			break
		}
		head := strings.Fields(lines[i])
		if len(head) != 4 || head[0] != "@@" {
			return fmt.Errorf("no header: %q", lines[i])
		}
		old, oldLen := parse(head[1][1:])
		now, newLen := parse(head[2][1:])
		oldEnd, newEnd := old+oldLen, now+newLen
		for i++; i < len(lines) && lines[i] != "" && lines[i][0] != '@'; i++ {
			kind, body := lines[i][0], lines[i][1:]
			if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\\") {
				body = strings.TrimSuffix(body, "\n")
			}
			if kind == '-' || kind == ' ' {
				if old >= len(olds) || olds[old] != body {
					return fmt.Errorf("line %d of the old file is not %q", old+1, body)
				}
				old++
			}
			if kind == '+' || kind == ' ' {
				if now >= len(news) || news[now] != body {
					return fmt.Errorf("line %d of the new file is not %q", now+1, body)
				}
				now++
			}
		}
		if old != oldEnd || now != newEnd {
			return fmt.Errorf("%v: ends at %d and %d", head, old, now)
		}
	}
	return nil
}

// parse reads N or N,COUNT; from counts from 0.
func parse(span string) (from, n int) {
	text, count, ok := strings.Cut(span, ",")
	from, _ = strconv.Atoi(text)
	if n = 1; ok {
		n, _ = strconv.Atoi(count)
	}
	if n > 0 {
		from--
	}
	return from, n
}

// patch finds every hunk at once, and the two edits that share a hunk move nothing behind them.
func TestPatchFindsHunks(t *testing.T) {
	filler := strings.Repeat("# filler\n", 20)
	before := filler + "a = 1\n#\n#\nb = 1\n" + filler + "c = 1\n" + filler
	after := strings.NewReplacer("a = 1", "a = 2", "b = 1", "b = 2", "c = 1", "c = 2").Replace(before)
	diff := Diff("a/f", "b/f", before, after)
	if want := "@@ -42,7 +42,7 @@"; !strings.Contains(diff, want) {
		t.Errorf("no %s in\n%s", want, diff)
	}
	for i, text := range []string{before, after} {
		dir := t.TempDir()
		for name, data := range map[string]string{"f": text, "x.patch": diff} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("patch", append([]string{"-p1", "--fuzz=0", "-i", "x.patch"}, []string{"-R"}[:i]...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C")
		if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "offset") {
			t.Errorf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
}

// What Sparing leaves out of the context does not move the rest.
func TestSparing(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	made := 0
	for range 400 {
		before, after := files(rng)
		for _, n := range []int{rng.IntN(20), rng.IntN(60)} {
			line := fmt.Sprintf("line %d\n", n)
			before, after = strings.Replace(before, "\n"+line, "\npassword = x\n", 1), strings.Replace(after, "\n"+line, "\npassword = x\n", 1)
		}
		diff, ok := Sparing("a/f", "b/f", before, after)
		if !ok {
			continue
		}
		made++
		if strings.Contains(diff, "password") {
			t.Fatalf("a secret is in\n%s", diff)
		}
		check(t, diff, before, after)
	}
	if made < 100 {
		t.Errorf("only %d diffs were made", made)
	}
}

func TestSecret(t *testing.T) {
	for line, want := range map[string]bool{
		"password: x": true, "  POSTGRES_APP_USER_PW=abc": true, "url: postgresql://u:p@h/d": true, "api_key = 1": true, `"client_secret": "x"`: true,
		"pool_size: 20": false, "url: postgresql://u@h/d": false, "password:": false, "# password sources": false, "tokens": false,
		"primary_conninfo = 'host=a password=x'": true, "#ssl_passphrase_command = 'echo x'": true, "host all all all ldap ldapbindpasswd=x": true,
		"password_encryption = md5": false, "#ssl_passphrase_command_supports_reload = off": false,
	} {
		if got := Secret(line); got != want {
			t.Errorf("Secret(%q) = %v", line, got)
		}
	}
}

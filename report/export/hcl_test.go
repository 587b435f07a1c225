package export

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// block is a block of Terraform's language with what is said in it, references left out.
type block struct {
	kind   string
	labels []string
	values map[string]string
	inside []block
}

func blocks(t *testing.T, body *hclsyntax.Body) []block {
	t.Helper()
	var out []block
	for _, b := range body.Blocks {
		one := block{kind: b.Type, labels: b.Labels, values: map[string]string{}, inside: blocks(t, b.Body)}
		for name, attr := range b.Body.Attributes {
			if len(attr.Expr.Variables()) > 0 {
				continue
			}
			v, diags := attr.Expr.Value(nil)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			if v.Type() == cty.String {
				one.values[name] = v.AsString()
			} else {
				one.values[name] = v.GoString()
			}
		}
		out = append(out, one)
	}
	return out
}

func terraform(t *testing.T, format string, o Options) []block {
	t.Helper()
	var out []block
	for _, f := range render(t, format, changes(), o).Files {
		if filepath.Ext(f.Name) != ".tf" {
			t.Errorf("%s is no file of Terraform", f.Name)
		}
		parsed, diags := hclparse.NewParser().ParseHCL([]byte(f.Data), f.Name)
		if diags.HasErrors() {
			t.Fatalf("%s\n%s", diags, f.Data)
		}
		out = append(out, blocks(t, parsed.Body.(*hclsyntax.Body))...)
	}
	return out
}

// TestTerraformParses reads the files with Terraform's own parser and holds what it makes of them against what was meant:
// text with ${ and %{ as it stands, numbers in the setting's own unit, bools as the service wants them.
func TestTerraformParses(t *testing.T) {
	prefix := `%t it's "${x}" %{y} \ $1 `
	o := options(t)
	o.Name = `odd "${name}"`
	for _, tc := range []struct {
		format, block string // of one setting
		name, value   string // its attributes
		jit           string
		wrapped       bool // inside a resource
	}{
		{"rds-terraform", "parameter", "name", "value", "0", true},
		{"aurora-terraform", "parameter", "name", "value", "0", true},
		{"cloudsql-terraform", "database_flags", "name", "value", "off", false},
		{"azure-terraform", "resource", "name", "value", "off", false},
	} {
		t.Run(tc.format, func(t *testing.T) {
			all := terraform(t, tc.format, o)
			if tc.wrapped {
				if len(all) != 1 || all[0].kind != "resource" || all[0].values["name_prefix"] != o.Name+"-" {
					t.Fatalf("want one resource of the given name: %+v", all)
				}
				all = all[0].inside
			}
			got := map[string]string{}
			for _, b := range all {
				if b.kind == tc.block {
					got[b.values[tc.name]] = b.values[tc.value]
				}
			}
			want := map[string]string{"work_mem": "16384", "random_page_cost": "1.1", "jit": tc.jit, "log_line_prefix": prefix, "max_connections": "200"}
			for name, value := range want {
				if got[name] != value {
					t.Errorf("%s = %q, want %q", name, got[name], value)
				}
			}
			if _, ok := got["listen_addresses"]; ok {
				t.Error("listen_addresses is the service's own")
			}
		})
	}
}

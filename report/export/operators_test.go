package export

import (
	"encoding/json"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"pgfit/probe"
	"pgfit/probe/guc"
)

// operators are the rules that the operators' resources put on what we write, as far as a schema can say them, in words of
// ours: additionalProperties false wherever a key of ours would be ignored or refused. A parameter of null takes one out
// (merge patch). They are no copy of the operators' own definitions, which their webhooks add to.
var operators = map[string]string{
	"cloudnativepg": `{"type": "object", "required": ["spec"], "additionalProperties": false, "properties": {"spec": {"type": "object", "additionalProperties": false,
		"properties": {"postgresql": {"type": "object", "additionalProperties": false, "properties": {
			"parameters": {"type": "object", "additionalProperties": {"type": ["string", "null"]},
				"not": {"anyOf": [{"required": ["shared_preload_libraries"]}, {"required": ["listen_addresses"]}, {"required": ["logging_collector"]},
					{"required": ["log_destination"]}, {"required": ["log_directory"]}, {"required": ["log_filename"]}, {"required": ["ssl"]}, {"required": ["hot_standby"]}]}},
			"shared_preload_libraries": {"type": ["array", "null"], "items": {"type": "string"}}}}}}}}`,
	"zalando": `{"type": "object", "required": ["spec"], "additionalProperties": false, "properties": {"spec": {"type": "object", "additionalProperties": false,
		"properties": {"postgresql": {"type": "object", "additionalProperties": false, "properties": {
			"parameters": {"type": "object", "additionalProperties": {"type": ["string", "null"]}, "not": {"required": ["listen_addresses"]}}}}}}}}`,
	"crunchy": `{"type": "object", "required": ["spec"], "additionalProperties": false, "properties": {"spec": {"type": "object", "additionalProperties": false,
		"properties": {"config": {"type": "object", "additionalProperties": false, "properties": {
			"parameters": {"type": "object", "maxProperties": 50, "additionalProperties": {"type": ["integer", "string", "null"]},
				"not": {"anyOf": [{"required": ["wal_level"]}, {"required": ["listen_addresses"]}, {"required": ["logging_collector"]}, {"required": ["ssl"]},
					{"required": ["archive_mode"]}, {"required": ["port"]}, {"required": ["hot_standby"]}]}}}}}}}}`,
}

// everything changes every setting of a version that can be changed, to its present value in another spelling or by one.
func everything(t *testing.T, major int) ([]Change, Options) {
	t.Helper()
	all, err := guc.Catalogue(major)
	if err != nil {
		t.Fatal(err)
	}
	var out []Change
	for _, name := range all.Names() {
		set := all[name]
		if set.Context == "internal" {
			continue
		}
		value := set.MaxVal
		switch set.VarType {
		case "bool":
			value = map[string]string{"on": "off", "off": "on"}[set.Value]
		case "enum":
			value = set.EnumVals[0]
		case "string":
			value = set.Value + "x"
		}
		out = append(out, Change{Name: name, Value: value})
	}
	return out, Options{Server: probe.Server{VersionNum: major * 10000, Settings: all}}
}

func TestOperatorsTakeResources(t *testing.T) {
	for format, text := range operators {
		t.Run(format, func(t *testing.T) {
			var schema jsonschema.Schema
			if err := json.Unmarshal([]byte(text), &schema); err != nil {
				t.Fatal(err)
			}
			rules, err := schema.Resolve(nil)
			if err != nil {
				t.Fatal(err)
			}
			check := func(c []Change, o Options) {
				t.Helper()
				for _, f := range render(t, format, c, o).Files {
					var v map[string]any
					if err := yaml.Unmarshal([]byte(f.Data), &v); err != nil {
						t.Fatalf("%s: %v", f.Name, err)
					}
					if err := rules.Validate(v); err != nil {
						t.Errorf("%s: %v\n%s", f.Name, err, f.Data)
					}
				}
			}
			check(changes(), options(t))
			check(nil, options(t))
			for major := guc.OldestMajor; major <= guc.NewestMajor; major++ {
				check(everything(t, major))
			}
			// The rules can refuse.
			if err := rules.Validate(map[string]any{"spec": map[string]any{"parameters": map[string]any{"jit": false}}}); err == nil {
				t.Error("parameters in the wrong place are taken")
			}
		})
	}
}

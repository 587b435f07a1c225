package probe

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// dmiOf is a machine whose firmware names a cloud.
func dmiOf(cloud string) mapFiles {
	files := mapFiles{"/proc/meminfo": "MemTotal: 8388608 kB\n"}
	switch cloud {
	case "aws":
		files[dmi+"/sys_vendor"], files[dmi+"/product_name"] = "Amazon EC2", "m6id.large"
	case "gcp":
		files[dmi+"/bios_vendor"], files[dmi+"/product_name"] = "Google", "Google Compute Engine"
	case "azure":
		files[dmi+"/chassis_asset_tag"] = azureTag
	case "none":
		files[dmi+"/sys_vendor"] = "Dell Inc."
	}
	return files
}

// service answers as the three do: each question only with its own header, Amazon's only with a token.
func service(t *testing.T, answers map[string]string) (base string, asked *[]string) {
	t.Helper()
	asked = new([]string)
	headers := map[string][2]string{"/latest/api/token": {"X-aws-ec2-metadata-token-ttl-seconds", "60"}, "/latest/meta-data/": {"X-aws-ec2-metadata-token", "secret"},
		"/computeMetadata/": {"Metadata-Flavor", "Google"}, "/metadata/": {"Metadata", "true"}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.String())
		for prefix, h := range headers {
			if strings.HasPrefix(r.URL.Path, prefix) && r.Header.Get(h[0]) != h[1] {
				w.WriteHeader(http.StatusForbidden)
				return
			}
		}
		switch text, ok := answers[r.Method+" "+r.URL.String()]; {
		case !ok:
			w.WriteHeader(http.StatusNotFound)
		case text == "hang":
			<-r.Context().Done()
		case text == "401":
			w.WriteHeader(http.StatusUnauthorized)
		case text == "302":
			http.Redirect(w, r, "/latest/elsewhere", http.StatusFound)
		default:
			_, _ = w.Write([]byte(text))
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestCloudMetadata(t *testing.T) {
	const (
		token, kind  = "PUT /latest/api/token", "GET /latest/meta-data/instance-type"
		machine      = "GET /computeMetadata/v1/instance/machine-type"
		disks        = "GET /computeMetadata/v1/instance/disks/?recursive=true"
		compute      = "GET /metadata/instance/compute?api-version=2021-02-01"
		n2           = "projects/123456/machineTypes/n2-standard-8"
		googlesDisks = `[{"deviceName":"boot","index":0,"interface":"SCSI","mode":"READ_WRITE","type":"PERSISTENT-BALANCED"},{"deviceName":"local-ssd-0","index":1,"interface":"NVME","mode":"READ_WRITE","type":"LOCAL-SSD"}]`
		azuresVM     = `{"vmSize":"Standard_E8ds_v5","publicKeys":[{"keyData":"ssh-rsa AAAA"}],"storageProfile":{"osDisk":{"managedDisk":{"storageAccountType":"Premium_LRS"}},"dataDisks":[{"lun":"0","managedDisk":{"storageAccountType":"PremiumV2_LRS"}}]}}`
	)
	for _, tc := range []struct {
		name, cloud string
		answers     map[string]string
		kind, disks string // value and state
		note        string // of the kind's fact
		questions   int
	}{
		{"Amazon", "aws", map[string]string{token: "secret", kind: "m6id.2xlarge"}, "m6id.2xlarge known", "absent", "", 2},
		{"Amazon without the service", "aws", nil, "m6id.large known", "absent", "404", 1},
		{"Amazon behind a hop limit", "aws", map[string]string{token: "hang"}, "m6id.large known", "absent", "hop limit", 1},
		{"Google", "gcp", map[string]string{machine: n2, disks: googlesDisks}, "n2-standard-8 known", "boot PERSISTENT-BALANCED, local-ssd-0 LOCAL-SSD known", "", 2},
		{"Google, disks refused", "gcp", map[string]string{machine: n2, disks: "401"}, "n2-standard-8 known", "denied", "", 2},
		{"Google, disks garbled", "gcp", map[string]string{machine: n2, disks: "<html>"}, "n2-standard-8 known", "implausible", "", 2},
		{"Google that hangs", "gcp", map[string]string{machine: "hang"}, "denied", "denied", "hop limit", 1},
		{"Azure", "azure", map[string]string{compute: azuresVM}, "Standard_E8ds_v5 known", "os Premium_LRS, lun-0 PremiumV2_LRS known", "", 1},
		{"Azure that knows no disk", "azure", map[string]string{compute: `{"vmSize":"Standard_B2s"}`}, "Standard_B2s known", "absent", "", 1},
		{"a portal instead of Azure", "azure", map[string]string{compute: "<html>sign in</html>"}, "implausible", "implausible", "no name", 1},
		{"sent elsewhere", "azure", map[string]string{compute: "302"}, "denied", "denied", "302", 1},
		{"no cloud", "none", nil, "absent", "absent", "", 0},
		{"no firmware", "", nil, "absent", "absent", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			base, asked := service(t, tc.answers)
			ctx := context.Background()
			if strings.Contains(strings.Join(flat(tc.answers), " "), "hang") {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
				defer cancel()
			}
			f, err := Collect(ctx, nil, Options{CloudMetadata: true, Env: Env{Files: dmiOf(tc.cloud), Self: "7", Metadata: base}})
			if err != nil {
				t.Fatal(err)
			}
			kind, disks := f.Host.InstanceType, f.Host.DiskTypes
			if got := strings.TrimSpace(kind.Value + " " + string(kind.State)); got != tc.kind || !strings.Contains(kind.Note, tc.note) {
				t.Errorf("instance type %q, note %q, want %q, ...%q...", got, kind.Note, tc.kind, tc.note)
			}
			if got := strings.TrimSpace(disks.Value + " " + string(disks.State)); got != tc.disks {
				t.Errorf("disks %q (%s), want %q", got, disks.Note, tc.disks)
			}
			if len(*asked) != tc.questions {
				t.Errorf("asked %q, want %d questions", *asked, tc.questions)
			}
		})
	}
}

func flat(m map[string]string) []string {
	var out []string
	for _, v := range m {
		out = append(out, v)
	}
	return out
}

// TestCloudIsAskedOnRequestOnly: without the option, and for a server that may be elsewhere, nothing is asked.
func TestCloudIsAskedOnRequestOnly(t *testing.T) {
	base, asked := service(t, nil)
	e := Env{Files: dmiOf("azure"), Self: "7", Metadata: base}
	if _, err := Collect(context.Background(), nil, Options{Env: e}); err != nil {
		t.Fatal(err)
	}
	var f Facts
	f.Host.Cloud = Is("azure", dmi)
	e.askCloud(context.Background(), &f)
	if len(*asked) != 0 || len(f.Warnings) != 1 || f.Host.InstanceType.State != Unknown {
		t.Errorf("asked %q; warnings %v", *asked, f.Warnings)
	}
}

// TestNothingAnswers: a service that is not there is absent, which is no failure.
func TestNothingAnswers(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	f, err := Collect(context.Background(), nil, Options{CloudMetadata: true, Env: Env{Files: dmiOf("gcp"), Self: "7", Metadata: s.URL}})
	if err != nil || f.Host.InstanceType.State != Absent || !strings.Contains(f.Host.InstanceType.Note, "nothing answers") {
		t.Errorf("%+v, %v", f.Host.InstanceType, err)
	}
}

package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// metadataService is where Amazon, Google and Microsoft answer the machines of their clouds.
const metadataService = "http://169.254.169.254"

// metadataTime bounds all questions to it: from a container behind a hop limit of 1 no answer ever comes.
const metadataTime = 2 * time.Second

// askCloud asks the cloud that the firmware names what kind of machine and disks this is. Nothing is asked of an unknown
// one, nor for a server that may be elsewhere.
func (e Env) askCloud(ctx context.Context, f *Facts) {
	if same, ok := f.SameHost.Get(); !ok || !same {
		f.Warnings = append(f.Warnings, Warning{Code: "cloud-metadata", Text: "--cloud-metadata: the server is not known to be on this machine, so its cloud was not asked",
			Hint: "run pgfit probe --host-only --cloud-metadata on the database host"})
		return
	}
	h := &f.Host
	cloud, _ := h.Cloud.Get()
	ask, known := clouds[cloud]
	if !known || e.Metadata == "" {
		h.DiskTypes = Fact[string]{State: Absent, Source: dmi, Note: "not asked: the firmware names no cloud"}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTime)
	defer cancel()
	kind, disks := ask(ctx, e.Metadata)
	if h.DiskTypes = disks; !kind.OK() && h.InstanceType.OK() { // the firmware knew it
		h.InstanceType.Note = "the metadata service: " + nonBlank(string(kind.State), kind.Note)
		return
	}
	h.InstanceType = kind
}

// clouds are the questions by the name that the firmware's fact has.
var clouds = map[string]func(ctx context.Context, base string) (kind, disks Fact[string]){"aws": askAmazon, "gcp": askGoogle, "azure": askAzure}

// askAmazon asks version 2 of the service, which wants a token first. It does not know the types of volumes.
func askAmazon(ctx context.Context, base string) (kind, disks Fact[string]) {
	from := base + "/latest/meta-data/instance-type"
	disks = Fact[string]{State: Absent, Source: from, Note: "Amazon's service does not tell the types of volumes"}
	token, f := ask(ctx, http.MethodPut, base+"/latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds", "60")
	if !f.OK() {
		return f, disks
	}
	text, f := ask(ctx, http.MethodGet, from, "X-aws-ec2-metadata-token", token)
	return word(f, text), disks
}

// askGoogle asks for single values: the whole tree holds what projects keep there, keys among it.
func askGoogle(ctx context.Context, base string) (kind, disks Fact[string]) {
	const header, flavor = "Metadata-Flavor", "Google"
	text, kind := ask(ctx, http.MethodGet, base+"/computeMetadata/v1/instance/machine-type", header, flavor)
	kind = word(kind, text[strings.LastIndexByte(text, '/')+1:]) // projects/123/machineTypes/n2-standard-8
	if !kind.OK() {
		return kind, Fact[string]{State: kind.State, Source: kind.Source, Note: kind.Note}
	}
	text, disks = ask(ctx, http.MethodGet, base+"/computeMetadata/v1/instance/disks/?recursive=true", header, flavor)
	var list []struct {
		DeviceName string `json:"deviceName"`
		Type       string `json:"type"`
	}
	disks = decode(disks, text, &list)
	var named []string
	for _, d := range list {
		named = append(named, typed(d.DeviceName, d.Type)...)
	}
	return kind, listed(disks, named)
}

// askAzure asks for the compute part, which has both.
func askAzure(ctx context.Context, base string) (kind, disks Fact[string]) {
	type managed struct {
		Lun  string `json:"lun"`
		Disk struct {
			Type string `json:"storageAccountType"`
		} `json:"managedDisk"`
	}
	var vm struct {
		Size    string `json:"vmSize"`
		Storage struct {
			OS   managed   `json:"osDisk"`
			Data []managed `json:"dataDisks"`
		} `json:"storageProfile"`
	}
	text, f := ask(ctx, http.MethodGet, base+"/metadata/instance/compute?api-version=2021-02-01", "Metadata", "true")
	disks = decode(f, text, &vm)
	named := typed("os", vm.Storage.OS.Disk.Type)
	for _, d := range vm.Storage.Data {
		named = append(named, typed("lun-"+d.Lun, d.Disk.Type)...)
	}
	return word(f, vm.Size), listed(disks, named)
}

// decode reads an answer in JSON.
func decode(f Fact[string], text string, into any) Fact[string] {
	if f.OK() && json.Unmarshal([]byte(text), into) != nil {
		f.State, f.Note = Implausible, "no JSON"
	}
	return f
}

// typed is "os Premium_LRS"; nothing unless both are words.
func typed(name, kind string) []string {
	if !oneWord.MatchString(name) || !oneWord.MatchString(kind) {
		return nil
	}
	return []string{name + " " + kind}
}

// listed gives an answer its list of disks.
func listed(f Fact[string], named []string) Fact[string] {
	switch {
	case !f.OK():
	case len(named) == 0:
		f.State, f.Note = Absent, "the service names no disk"
	default:
		f.Value = strings.Join(named, ", ")
	}
	return f
}

// oneWord is how types of machines and disks are written; a page of a captive portal is not.
var oneWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// word gives an answer its text where that can be the name of a type.
func word(f Fact[string], text string) Fact[string] {
	switch {
	case !f.OK():
	case oneWord.MatchString(text):
		f.Value = text
	default:
		f.State, f.Note = Implausible, "no name of a type"
	}
	return f
}

// ask makes one request. The fact has the state and the source, not the answer. No proxy is used and no redirection
// followed: the service is on this machine's own link.
func ask(ctx context.Context, method, url, header, value string) (string, Fact[string]) {
	f := Fact[string]{State: Known, Source: url}
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		f.State, f.Note = Absent, err.Error()
		return "", f
	}
	req.Header.Set(header, value)
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return "", unanswered(f, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 256<<10))
	switch {
	case err != nil:
		return "", unanswered(f, err)
	case resp.StatusCode == http.StatusNotFound:
		f.State, f.Note = Absent, resp.Status
	case resp.StatusCode != http.StatusOK:
		f.State, f.Note = Denied, resp.Status
	}
	return strings.TrimSpace(string(text)), f
}

// unanswered says why there is no answer.
func unanswered(f Fact[string], err error) Fact[string] {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		f.State, f.Note = Denied, fmt.Sprintf("no answer within %s: switched off, or asked from a container behind a hop limit of 1", metadataTime)
		return f
	}
	f.State, f.Note = Absent, "nothing answers there"
	return f
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// binaries builds a small program twice over for both architectures.
func binaries(t *testing.T) string {
	t.Helper()
	src, dir := t.TempDir(), t.TempDir()
	files := map[string]string{"go.mod": "module m\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { println(\"hello\") }\n"}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, arch := range []string{"amd64", "arm64"} {
		cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, arch), ".")
		cmd.Dir, cmd.Env = src, append(os.Environ(), "GOARCH="+arch, "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build for %s: %v\n%s", arch, err, out)
		}
	}
	return dir
}

// unpack gives the files of an archive.
func unpack(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := make(map[string][]byte)
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if !h.ModTime.IsZero() && h.ModTime.Unix() != 0 {
			t.Errorf("%s has a time: %v", h.Name, h.ModTime)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// decode reads the blob that a descriptor names, or the file of that name.
func decode(t *testing.T, files map[string][]byte, name string, into any) {
	t.Helper()
	if hash, ok := strings.CutPrefix(name, "sha256:"); ok {
		name = "blobs/sha256/" + hash
	}
	if err := json.Unmarshal(files[name], into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestImages(t *testing.T) {
	cases := map[string]struct {
		dockerfile string
		args       settings
		entrypoint string
		cmd, env   []string
		title      string
		port       bool
	}{
		"host": {
			dockerfile: "Dockerfile.host", entrypoint: "/basic", cmd: []string{"serve"}, env: []string{"PLUGIN_DIR="}, title: "basic",
		},
		"plugin": {
			dockerfile: "Dockerfile.plugin", args: settings{"PLUGIN": "pluginzh"}, entrypoint: "/plugin", title: "pluginzh", port: true,
			env: []string{"BASIC_PLUGIN=hello", "PLUGIN_NAME=pluginzh", "PLUGIN_HOST=true", "PLUGIN_MIN_PORT=7000", "PLUGIN_MAX_PORT=7000"},
		},
	}
	dir, notice := binaries(t), filepath.Join(t.TempDir(), "NOTICE")
	if err := os.WriteFile(notice, []byte("licences of others"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := build{binaries: dir, notice: notice, name: "docker.io/library/" + name + ":dev", revision: "abc"}
			archives := []string{filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "b.tar")}
			var digests, contents []string
			for _, out := range archives {
				digest, err := run(b, filepath.Join("../..", c.dockerfile), "", c.args, out)
				if err != nil {
					t.Fatal(err)
				}
				raw, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				digests, contents = append(digests, digest), append(contents, string(raw))
			}
			if digests[0] != digests[1] || contents[0] != contents[1] {
				t.Errorf("two builds give the digests %v", digests)
			}
			files := unpack(t, archives[0])
			var top struct {
				Manifests []struct {
					Digest      string
					Annotations map[string]string
				}
			}
			decode(t, files, "index.json", &top)
			if len(top.Manifests) != 1 || top.Manifests[0].Annotations[archiveName] != b.name || top.Manifests[0].Digest != digests[0] {
				t.Fatalf("index.json says %+v", top)
			}
			var index struct {
				Manifests []struct {
					Digest   string
					Platform struct{ OS, Architecture string }
				}
			}
			decode(t, files, top.Manifests[0].Digest, &index)
			var platforms []string
			for _, m := range index.Manifests {
				platforms = append(platforms, m.Platform.OS+"/"+m.Platform.Architecture)
				var manifest struct{ Config struct{ Digest string } }
				decode(t, files, m.Digest, &manifest)
				var image struct {
					Architecture string
					Config       struct {
						User                 string
						Env, Entrypoint, Cmd []string
						Labels               map[string]string
						ExposedPorts         map[string]any
					}
				}
				decode(t, files, manifest.Config.Digest, &image)
				got := image.Config
				if image.Architecture != m.Platform.Architecture || got.User != "65532:65532" ||
					!slices.Equal(got.Entrypoint, []string{c.entrypoint}) || !slices.Equal(got.Cmd, c.cmd) || !slices.Equal(got.Env, c.env) {
					t.Errorf("the image for %s says %+v", m.Platform.Architecture, image)
				}
				if got.Labels["org.opencontainers.image.title"] != c.title || got.Labels["org.opencontainers.image.revision"] != "abc" ||
					got.Labels["org.opencontainers.image.licenses"] != "MPL-2.0" {
					t.Errorf("labels are %v", got.Labels)
				}
				if _, open := got.ExposedPorts["7000/tcp"]; open != c.port {
					t.Errorf("ports are %v", got.ExposedPorts)
				}
			}
			if c.port {
				checkPluginFiles(t, files)
			}
			if !slices.Equal(platforms, []string{"linux/amd64", "linux/arm64"}) {
				t.Errorf("platforms are %v", platforms)
			}
		})
	}
}

// checkPluginFiles looks for what a host needs that mounts the image of a plugin as a
// volume.
func checkPluginFiles(t *testing.T, archive map[string][]byte) {
	t.Helper()
	layers := 0
	for name, blob := range archive {
		unzipped, err := gzip.NewReader(bytes.NewReader(blob))
		if err != nil {
			continue // not a layer
		}
		layers++
		files, links := make(map[string]string), make(map[string]string)
		for r := tar.NewReader(unzipped); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			content, _ := io.ReadAll(r)
			files[h.Name], links[h.Name] = string(content), h.Linkname
		}
		sum := fmt.Sprintf("%x  pluginzh.po\n", sha256.Sum256([]byte(files["plugins/pluginzh.po"])))
		if files["plugins/pluginzh.po"] == "" || files["plugins/SHA256SUMS"] != sum || links["plugin"] != "plugins/pluginzh.po" || len(files) != 4 {
			t.Errorf("%s has the links %v, and sums %q, want %q", name, links, files["plugins/SHA256SUMS"], sum)
		}
	}
	if layers != 2 {
		t.Errorf("%d layers, want one for each architecture", layers)
	}
}

func TestRefusals(t *testing.T) {
	const good = "FROM golang AS build\nRUN anything\nFROM scratch\nCOPY --from=build /a /a\nENTRYPOINT [\"/a\"]\n"
	cases := map[string]struct{ reason, dockerfile, want string }{
		"an instruction": {"what is not understood must not be left out", good + "HEALTHCHECK CMD x\n", "HEALTHCHECK is not known"},
		"two binaries":   {"only one is copied", good + "COPY --from=build /b /b\n", "a second file"},
		"no entrypoint":  {"the image would not run", "FROM scratch\nCOPY --from=build /a /a\n", "ENTRYPOINT"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := parseStage(c.dockerfile, "", nil); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: error %v, want %q", c.reason, err, c.want)
			}
		})
	}
	if _, err := parseStage(good, "", nil); err != nil {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "amd64"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := (build{binaries: dir}).index(); err == nil {
		t.Error("a script is taken for a static binary")
	}
}

// TestExpose puts the program beside a plugin in the plugin's own image, as
// Dockerfile.expose says.
func TestExpose(t *testing.T) {
	dir, binaries := t.TempDir(), binaries(t)
	dockerfile, base, out := filepath.Join(dir, "Dockerfile"), filepath.Join(dir, "base.tar"), filepath.Join(dir, "exposed.tar")
	text := "FROM scratch\nLABEL title=\"store\" size=\"small\"\nENV STORE=here PLUGIN_UNIX_SOCKET_DIR=/elsewhere\nCOPY --from=build /store /store\nENTRYPOINT [\"/store\"]\nCMD [\"--quick\"]\n"
	if err := os.WriteFile(dockerfile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run(build{binaries: binaries, name: "store:1"}, dockerfile, "", nil, base); err != nil {
		t.Fatal(err)
	}
	b := build{binaries: binaries, name: "store-exposed:1"}
	const exposing = "../../Dockerfile.expose"
	if _, err := run(b, exposing, "", nil, out); err == nil || !strings.Contains(err.Error(), "name its archive with -base") {
		t.Errorf("without a base: %v", err)
	}
	b.base = base
	if _, err := run(b, exposing, "", settings{"EXECUTABLE": "/store", "COOKIE": "STORE_PLUGIN=hello"}, out); err != nil {
		t.Fatal(err)
	}
	var files []string
	configs := 0
	for _, blob := range unpack(t, out) {
		unzipped, err := gzip.NewReader(bytes.NewReader(blob))
		if err == nil {
			for r := tar.NewReader(unzipped); ; {
				h, err := r.Next()
				if err != nil {
					break
				}
				files = append(files, h.Name)
			}
			continue
		}
		var image struct {
			Config struct {
				User                 string
				Env, Entrypoint, Cmd []string
				Labels               map[string]string
			}
		}
		if json.Unmarshal(blob, &image) != nil || image.Config.User == "" {
			continue
		}
		configs++
		c := image.Config
		if c.User != "65532:65532" || c.Cmd != nil || c.Entrypoint[0] != "/basic" || c.Labels["size"] != "small" ||
			!slices.Equal(c.Env, []string{"STORE=here", "PLUGIN_UNIX_SOCKET_DIR=/plugin-sockets", "BASIC_EXECUTABLE=/store", "BASIC_COOKIE=STORE_PLUGIN=hello"}) {
			t.Errorf("the image says %+v", c)
		}
	}
	slices.Sort(files)
	if want := []string{"basic", "basic", "plugin-sockets/", "plugin-sockets/", "store", "store"}; configs != 2 || !slices.Equal(files, want) {
		t.Errorf("%d images have the files %v, want %v", configs, files, want)
	}
}

// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// build is all that one image is made of.
type build struct {
	stage                            stage
	binaries, name, revision, notice string
	base                             string // archive of the image to begin with, where the stage has one
}

// index makes an image for each architecture, in the order of their names.
func (b build) index() (v1.ImageIndex, error) {
	files, err := os.ReadDir(b.binaries)
	if err != nil {
		return nil, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, f := range files {
		image, err := b.image(f.Name())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: f.Name()}},
		})
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no binary", b.binaries)
	}
	return index, nil
}

func (b build) image(arch string) (v1.Image, error) {
	path := filepath.Join(b.binaries, arch)
	if err := b.check(path, arch); err != nil {
		return nil, err
	}
	content, err := b.files(path)
	if err != nil {
		return nil, err
	}
	layer, err := layerOf(content)
	if err != nil {
		return nil, err
	}
	image, err := b.begin(arch)
	if err != nil {
		return nil, err
	}
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", arch
	config.Config = b.config(config.Config)
	return mutate.ConfigFile(image, config)
}

// layerOf makes a layer of a tar.
func layerOf(content []byte) (v1.Layer, error) {
	return tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompression(compression.GZip))
}

// begin gives what the layer is put on: nothing, or the image that the stage begins with.
func (b build) begin(arch string) (v1.Image, error) {
	switch {
	case b.stage.based && b.base == "":
		return nil, errors.New("the last stage begins with an image: name its archive with -base")
	case b.stage.based:
		return fromArchive(b.base, arch)
	case b.base != "":
		return nil, errors.New("the last stage begins from nothing: there is no use for -base")
	}
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), nil
}

// config changes what an image says of itself, as the instructions do: what is said anew
// takes the place of what was said, and a command is one of the entry point before it.
func (b build) config(base v1.Config) v1.Config {
	c := *base.DeepCopy()
	c.Env = merged(c.Env, b.stage.env)
	labels := maps.Clone(b.stage.labels)
	if b.revision != "" {
		labels["org.opencontainers.image.revision"] = b.revision
	}
	if c.Labels == nil {
		c.Labels = make(map[string]string)
	}
	maps.Copy(c.Labels, labels)
	c.User = cmp.Or(b.stage.user, c.User)
	c.Entrypoint, c.Cmd = b.stage.entrypoint, b.stage.cmd
	for _, p := range b.stage.ports {
		if c.ExposedPorts == nil {
			c.ExposedPorts = make(map[string]struct{})
		}
		c.ExposedPorts[p] = struct{}{}
	}
	return c
}

// merged gives an environment in which variables of the second replace those of the first.
func merged(first, second []string) []string {
	all := slices.Clone(first)
	for _, variable := range second {
		name, _, _ := strings.Cut(variable, "=")
		all = slices.DeleteFunc(all, func(v string) bool { return strings.HasPrefix(v, name+"=") })
		all = append(all, variable)
	}
	return all
}

// entry is a file or a directory of the layer.
type entry struct {
	*tar.Header
	content []byte
}

// files gives the layer as a tar. Nothing in it has a time.
func (b build) files(path string) ([]byte, error) {
	entries, err := b.entries(path)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		e.Size = int64(len(e.content))
		if err := w.WriteHeader(e.Header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// entries are what the layer holds, in the order of their names.
func (b build) entries(path string) ([]entry, error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	in := func(target string) string { return strings.TrimPrefix(target, "/") }
	entries := []entry{{&tar.Header{Typeflag: tar.TypeReg, Name: in(b.stage.binary), Mode: 0o755}, binary}}
	if b.stage.link != "" {
		entries = append(entries, entry{&tar.Header{Typeflag: tar.TypeSymlink, Name: in(b.stage.link), Linkname: in(b.stage.binary), Mode: 0o777}, nil})
	}
	if b.stage.sums != "" {
		sums := fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(binary), filepath.Base(b.stage.binary))
		entries = append(entries, entry{&tar.Header{Typeflag: tar.TypeReg, Name: in(b.stage.sums), Mode: 0o644}, sums})
	}
	if b.stage.libraries {
		libraries, err := libraries(path)
		if err != nil {
			return nil, err
		}
		for target, content := range libraries {
			entries = append(entries, entry{&tar.Header{Typeflag: tar.TypeReg, Name: in(target), Mode: 0o755}, content})
		}
	}
	if b.stage.tmp != "" {
		entries = append(entries, entry{&tar.Header{Typeflag: tar.TypeDir, Name: in(b.stage.tmp) + "/", Mode: 0o1777}, nil})
	}
	if b.stage.notice != "" {
		notice, err := os.ReadFile(b.notice)
		if err != nil {
			return nil, fmt.Errorf("the image wants a notice of licences: %w", err)
		}
		entries = append(entries, entry{&tar.Header{Typeflag: tar.TypeReg, Name: in(b.stage.notice), Mode: 0o644}, notice})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

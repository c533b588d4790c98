// SPDX-License-Identifier: MPL-2.0

package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// fromArchive gives the image for an architecture out of an OCI archive of one name, with
// its layers in memory.
func fromArchive(path, arch string) (v1.Image, error) {
	dir, err := os.MkdirTemp("", "images-base-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := unpackArchive(path, dir); err != nil {
		return nil, fmt.Errorf("base %s: %w", path, err)
	}
	top, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("base %s: %w", path, err)
	}
	image, err := imageFor(top, arch)
	if err != nil {
		return nil, fmt.Errorf("base %s: %w", path, err)
	}
	return kept(image)
}

// imageFor looks for the image of an architecture, in indexes of an index as well.
func imageFor(index v1.ImageIndex, arch string) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, m := range manifest.Manifests {
		switch {
		case m.MediaType.IsIndex():
			inner, err := index.ImageIndex(m.Digest)
			if err != nil {
				return nil, err
			}
			if image, err := imageFor(inner, arch); err == nil {
				return image, nil
			}
		case m.MediaType.IsImage() && m.Platform != nil && m.Platform.Architecture == arch:
			return index.Image(m.Digest)
		}
	}
	return nil, fmt.Errorf("it has no image for %s", arch)
}

// kept copies an image whose files are about to go.
func kept(image v1.Image) (v1.Image, error) {
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, layer := range layers {
		copied, err := keptLayer(layer)
		if err != nil {
			return nil, err
		}
		if out, err = mutate.Append(out, mutate.Addendum{Layer: copied}); err != nil {
			return nil, err
		}
	}
	own, err := out.ConfigFile()
	if err != nil {
		return nil, err
	}
	own = own.DeepCopy()
	own.Config = config.Config
	return mutate.ConfigFile(out, own)
}

func keptLayer(layer v1.Layer) (v1.Layer, error) {
	open, err := layer.Uncompressed()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(open)
	if err := errors.Join(err, open.Close()); err != nil {
		return nil, err
	}
	return layerOf(content)
}

// unpackArchive writes the files of an archive into a directory, and none beside it.
func unpackArchive(path, dir string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if err := root.MkdirAll(filepath.Dir(h.Name), 0o755); err != nil {
			return err
		}
		if err := root.WriteFile(h.Name, content, 0o600); err != nil {
			return err
		}
	}
}

// SPDX-License-Identifier: MPL-2.0

// Package compile compiles .proto files.
package compile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
)

// File compiles a file, by the path that others know it by and its source. It may import
// those of protocol buffers' own.
func File(ctx context.Context, path, source string) (linker.File, error) {
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			Accessor: func(name string) (io.ReadCloser, error) {
				if name != path {
					return nil, errors.New("a contract is one file, which imports those of google/protobuf alone: declare here what it needs of this one")
				}
				return io.NopCloser(strings.NewReader(source)), nil
			},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := compiler.Compile(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("compile: %w", err)
	}
	return files[0], nil
}

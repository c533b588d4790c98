module github.com/reattach/reattach/test/e2e

go 1.26.0

//go:build tools

// Package tools names kwok, so that go.mod and go.sum pin all that it is built from.
package tools

import _ "sigs.k8s.io/kwok/cmd/kwok"

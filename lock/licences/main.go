// Says which licences texts are: reads a path a line, writes a line of JSON for each,
// {"path": …, "ids": [SPDX identifiers, in their order], "percent": of the text that they cover}.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/google/licensecheck"
)

type found struct {
	Path    string   `json:"path"`
	IDs     []string `json:"ids"`
	Percent float64  `json:"percent"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		text, err := os.ReadFile(lines.Text())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		coverage := licensecheck.Scan(text)
		answer := found{Path: lines.Text(), IDs: []string{}, Percent: coverage.Percent}
		for _, match := range coverage.Match {
			if !match.IsURL && !slices.Contains(answer.IDs, match.ID) {
				answer.IDs = append(answer.IDs, match.ID)
			}
		}
		if err := answers.Encode(answer); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

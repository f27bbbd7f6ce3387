package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// documentedCommand is a command of the tool in a document.
type documentedCommand struct {
	document, line string
	complete       bool // in a code block, with all its arguments
}

// documentedCommands are the commands in the code blocks and in the inline code of the
// documents.
func documentedCommands(t *testing.T) []documentedCommand {
	t.Helper()
	var found []documentedCommand
	for _, pattern := range []string{"README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "RELIABILITY.md", "docs/*.md", "zoo/*.md"} {
		paths, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("found no %s, error %v", pattern, err)
		}
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text, name := string(content), filepath.Base(path)
			for _, block := range regexp.MustCompile("(?s)```[a-z]*\n(.*?)```").FindAllStringSubmatch(text, -1) {
				text = strings.Replace(text, block[0], "", 1)
				for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
					line = strings.TrimSpace(strings.Replace(line, "go run ./cmd/likeness", "likeness", 1))
					if strings.HasPrefix(line, "likeness ") {
						found = append(found, documentedCommand{name, line, true})
					}
				}
			}
			for _, span := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(text, -1) {
				line := strings.Join(strings.Fields(span[1]), " ")
				line = strings.Replace(line, "go run ./cmd/likeness", "likeness", 1)
				if strings.HasPrefix(line, "likeness ") && !strings.HasPrefix(line, "likeness COMMAND") {
					found = append(found, documentedCommand{name, line, false})
				}
			}
		}
	}
	return found
}

// Every command in the documents is one that the tool accepts, with flags that exist
// under the names that they have today. A command in running text may lack arguments.
func TestDocumentedCommands(t *testing.T) {
	commandsFound := documentedCommands(t)
	complete := 0
	for _, command := range commandsFound {
		line, _, _ := strings.Cut(command.line, " #")
		line = regexp.MustCompile(`\$\([^)]*\)`).ReplaceAllString(line, "TEXT")
		args, renamed := currentNames(strings.Fields(line)[1:])
		if len(renamed) > 0 {
			t.Errorf("%s: %s: %s", command.document, command.line, strings.Join(renamed, ", "))
		}
		helped := false
		parser, err := newParser(grammar(args), args, io.Discard, io.Discard, func(int) { helped = true })
		if err != nil {
			t.Fatal(err)
		}
		_, err = parser.Parse(args)
		if command.complete {
			complete++
		}
		if err == nil || helped {
			continue
		}
		if lacks := regexp.MustCompile(`^(expected "|missing flags: |--[a-z-]+: expected .* but got "EOL")`).MatchString(err.Error()); command.complete || !lacks {
			t.Errorf("%s: %s: %v", command.document, command.line, parseError(err))
		}
	}
	if complete < 20 || len(commandsFound)-complete < 5 {
		t.Errorf("found %d commands in code blocks and %d in running text, expected at least 20 and 5", complete, len(commandsFound)-complete)
	}
}

// A flag that does not exist and one of an earlier version would be noticed.
func TestDocumentedCommandsAreParsed(t *testing.T) {
	for _, args := range [][]string{{"train", "--learnin-rate", "1"}, {"no-such-command"}, {"compare", "a.png", "b.png", "c.png"}} {
		parser, err := newParser(new(commands), args, io.Discard, io.Discard, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(args); err == nil {
			t.Errorf("%q: found no error, expected one", args)
		}
	}
}

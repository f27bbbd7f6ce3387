package main

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/likeness-go/likeness/internal/wording"
	"github.com/likeness-go/likeness/run"
	"github.com/pkg/errors"
)

// flagKey is the TOML key of a flag's name.
func flagKey(flag string) string { return strings.ReplaceAll(flag, "-", "_") }

// givenFlags are the settings that the command line gives, by their keys.
func givenFlags(parsed *kong.Context) map[string]bool {
	given := map[string]bool{}
	for _, path := range parsed.Path {
		if path.Flag != nil && (run.Settings{}).Value(flagKey(path.Flag.Name)) != nil {
			given[flagKey(path.Flag.Name)] = true
		}
	}
	return given
}

// defaultText is the default of a flag, or empty if it is zero.
func defaultText(defaults run.Settings, flag string) string {
	value := reflect.ValueOf(defaults.Value(flagKey(flag)))
	switch {
	case !value.IsValid() || value.IsZero():
		return ""
	case value.Kind() == reflect.Float64:
		return strconv.FormatFloat(value.Float(), 'g', 4, 64)
	}
	return fmt.Sprint(value)
}

// helpWithDefault adds a setting's defaults to its help: those of the default training, and
// those of other data. The flags of other
// commands are no settings, and have no group.
func helpWithDefault(value *kong.Value) string {
	if value.Flag == nil || value.Flag.Group == nil {
		return value.Help
	}
	own, others := defaultText(run.Defaults(), value.Name), defaultText(run.GeneralDefaults(), value.Name)
	switch {
	case own == others && own == "":
	case own == others:
		return fmt.Sprintf("%s [%s]", value.Help, own)
	default:
		return fmt.Sprintf("%s [%s, or %s with --data]", value.Help, cmp.Or(own, "none"), cmp.Or(others, "none"))
	}
	return value.Help
}

// commonSettings are the settings of a training that -h shows.
var commonSettings = []string{"data", "limit", "backbone", "from", "objective", "head", "epochs", "batch", "seed", "threads", "augmentation", "learning-rate"}

// printHelp prints all of the help of a command for --help. For -h it prints the first paragraph,
// the examples, and the first sentence of each flag, of the settings of a training the common ones only.
func printHelp(args []string) kong.HelpPrinter {
	return func(options kong.HelpOptions, ctx *kong.Context) error {
		command := ctx.Selected()
		if command == nil || !slices.Contains(args, "-h") {
			return kong.DefaultHelpPrinter(options, ctx)
		}
		hidden := 0
		for _, group := range command.AllFlags(true) {
			for _, flag := range group {
				flag.Help, _, _ = strings.Cut(flag.Help, ". ")
				flag.Help = strings.TrimSuffix(flag.Help, ".") + "."
				if flag.Group != nil && !slices.Contains(commonSettings, flag.Name) {
					flag.Hidden = true
					hidden++
				}
			}
		}
		var kept []string
		for i, paragraph := range strings.Split(command.Detail, "\n\n") {
			if i == 0 || strings.HasPrefix(paragraph, "Example") || strings.HasPrefix(paragraph, "    ") {
				kept = append(kept, paragraph)
			}
		}
		more := fmt.Sprintf("All of the help: likeness %s --help", command.Path())
		if hidden > 0 {
			more = fmt.Sprintf("All of the help, with %d more flags: likeness %s --help", hidden, command.Path())
		}
		command.Detail = strings.Join(append(kept, more), "\n\n")
		return kong.DefaultHelpPrinter(options, ctx)
	}
}

// formerFlags are the names that flags of commands had in earlier versions, with those
// that they have now.
var formerFlags = func() map[string]map[string]string {
	former := map[string]map[string]string{
		"near-duplicates": {"anyway": "force"},
		"search":          {"anyway": "force"},
		"import":          {"deviation": "std"},
		"calibrate":       {"rate": "false-accept-rate"},
		"bench":           {"works": "workloads"},
		"train":           {},
	}
	for was, now := range run.FormerKeys() {
		former["train"][run.FlagName(was)] = run.FlagName(now)
	}
	return former
}()

// currentNames replaces former names of flags, and says which, each once.
func currentNames(args []string) (current, renamed []string) {
	i := slices.IndexFunc(args, func(argument string) bool { return !strings.HasPrefix(argument, "-") })
	if i < 0 {
		return args, nil
	}
	former := formerFlags[args[i]]
	current = slices.Clone(args)
	for n, argument := range current {
		if argument == "--" {
			break
		}
		name, isFlag := strings.CutPrefix(argument, "--")
		name, value, hasValue := strings.Cut(name, "=")
		now, isFormer := former[name]
		if !isFlag || !isFormer {
			continue
		}
		current[n] = "--" + now
		if hasValue {
			current[n] += "=" + value
		}
		if text := fmt.Sprintf("--%s is now --%s", name, now); !slices.Contains(renamed, text) {
			renamed = append(renamed, text)
		}
	}
	return current, renamed
}

// helpFlags replaces the words help and version, which other tools have as commands, by the flags.
func helpFlags(args []string) []string {
	switch {
	case args[0] == "help":
		return append(slices.Clone(args[1:]), "--help")
	case args[0] == "version" && len(args) == 1:
		return []string{"--version"}
	}
	return args
}

// parseError is an error of kong, but that of an unknown flag names the flag that was
// probably meant, and that of a missing argument or one too many has the usage of the command.
func parseError(err error) error {
	var parse *kong.ParseError
	if !errors.As(err, &parse) || parse.Context == nil {
		return err
	}
	unknown, isFlag := strings.CutPrefix(err.Error(), "unknown flag --")
	if !isFlag {
		return withUsage(err, parse.Context)
	}
	name, _, _ := strings.Cut(unknown, ",")
	var known []string
	for _, group := range parse.Context.Path {
		for _, flag := range group.Flags {
			if !slices.Contains(known, flag.Name) {
				known = append(known, flag.Name)
			}
		}
	}
	if meant := wording.Meant(name, known); meant != "" {
		return errors.Errorf("unknown flag --%s, did you mean --%s?", name, meant)
	}
	return errors.Errorf("unknown flag --%s", name)
}

// withUsage adds the usage of the selected command to an error about its arguments.
func withUsage(err error, ctx *kong.Context) error {
	selected, text := ctx.Selected(), err.Error()
	argument, isMissing := strings.CutPrefix(text, "expected \"<")
	if isMissing {
		text = "missing argument <" + strings.TrimSuffix(argument, "\"")
	}
	if selected == nil || !isMissing && !strings.HasPrefix(text, "unexpected argument ") {
		return err
	}
	return errors.Errorf("%s: the usage is likeness %s", text, selected.Summary())
}

// commandOf returns the command whose arguments could not be parsed.
func commandOf(err error) string {
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context != nil && parse.Context.Command() != "" {
		return "likeness " + strings.Fields(parse.Context.Command())[0]
	}
	return "likeness"
}

// errEmpty refuses an empty argument, which must not mean that none was given: most
// often it is a shell variable that is not set.
var errEmpty = errors.New("found an empty value, expected some text: perhaps a shell variable is not set")

// textMappers decode the texts of the command line byte by byte. Kong's own take them
// through JSON, which replaces what is not UTF-8, so that two files become one.
func textMappers() []kong.Option {
	return []kong.Option{
		kong.KindMapper(reflect.String, kong.MapperFunc(decodeText)),
		kong.TypeMapper(reflect.TypeFor[[]string](), kong.MapperFunc(decodeTexts)),
		kong.TypeMapper(reflect.TypeFor[run.List](), kong.MapperFunc(decodeTexts)),
	}
}

func decodeText(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("string")
	if err != nil {
		return err
	}
	text := token.String()
	if text == "" {
		return errEmpty
	}
	target.SetString(text)
	return nil
}

// decodeTexts takes all arguments that follow, or the value of a flag, cut at commas.
func decodeTexts(ctx *kong.DecodeContext, target reflect.Value) error {
	var texts []string
	if ctx.Value.Flag == nil {
		for _, token := range ctx.Scan.PopWhile(kong.Token.IsValue) {
			texts = append(texts, token.String())
		}
	} else {
		token, err := ctx.Scan.PopValue("string")
		if err != nil {
			return err
		}
		texts = splitList(token.String(), ctx.Value.Tag.Sep)
	}
	for _, text := range texts {
		if text == "" {
			return errEmpty
		}
		target.Set(reflect.Append(target, reflect.ValueOf(text)))
	}
	return nil
}

// splitList cuts a list at a separator, as kong.SplitEscaped does: a backslash before
// it makes it a part of an element, and one at the end of the list counts for nothing.
// The separator -1 does not cut.
func splitList(list string, separator rune) []string {
	var elements []string
	var element []byte
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case rune(c) == separator:
			elements = append(elements, string(element))
			element = nil
		case c == '\\' && separator != -1 && i+1 < len(list):
			if i++; rune(list[i]) != separator {
				element = append(element, c)
			}
			element = append(element, list[i])
		default:
			element = append(element, c)
		}
	}
	if len(element) > 0 || len(elements) == 0 {
		elements = append(elements, string(element))
	}
	return elements
}

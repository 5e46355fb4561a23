package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cdc/fault"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write man pages into a folder, one for each command",
		Example: `  cdc man /usr/local/share/man/man1
  man cdc-run`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fault.New(fault.UsageInvalid, "want one folder, found %d arguments", len(args)).Hint("cdc man DIR")
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fault.New(fault.UsageInvalid, "man: %w", err).Hint("give a folder that can be written to")
			}
			for name, text := range manPages() {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(text), 0o644); err != nil {
					return fault.New(fault.UsageInvalid, "man: %w", err).Hint("give a folder that can be written to")
				}
			}
			return nil
		},
	}
}

// manPages gives the man page of each command by the name of its file.
func manPages() map[string]string {
	pages := map[string]string{}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" {
			return
		}
		pages[manName(c)+".1"] = manPage(c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(rootCommand())
	return pages
}

func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage writes the page of one command in the macros of man(7). It has no date, so that it is the same whenever it is made.
func manPage(c *cobra.Command) string {
	c.InitDefaultHelpFlag()
	var w strings.Builder
	fmt.Fprintf(&w, ".TH %s 1 \"\" \"cdc %s\" \"cdc manual\"\n", roff(strings.ToUpper(manName(c))), roff(version))
	fmt.Fprintf(&w, ".SH NAME\n%s \\- %s\n", roff(manName(c)), roff(c.Short))
	use := c.UseLine()
	if !c.Runnable() {
		use = c.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&w, ".SH SYNOPSIS\n.B %s\n", roff(use))
	if c.Long != "" {
		w.WriteString(".SH DESCRIPTION\n")
		for i, paragraph := range strings.Split(strings.TrimSpace(c.Long), "\n\n") {
			if i > 0 {
				w.WriteString(".PP\n")
			}
			fmt.Fprintln(&w, roff(strings.ReplaceAll(paragraph, "\n", " ")))
		}
	}
	var also []string
	if c.HasParent() {
		also = append(also, manName(c.Parent()))
	}
	list := false
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" {
			continue
		}
		if !list {
			w.WriteString(".SH COMMANDS\n")
			list = true
		}
		fmt.Fprintf(&w, ".TP\n.B %s\n%s.\n", roff(sub.CommandPath()), roff(strings.TrimSuffix(sub.Short, ".")))
		also = append(also, manName(sub))
	}
	if f := c.NonInheritedFlags(); f.HasAvailableFlags() {
		w.WriteString(".SH OPTIONS\n")
		f.VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			head := `\fB` + roff("--"+f.Name) + `\fR`
			if f.Shorthand != "" {
				head = `\fB` + roff("-"+f.Shorthand) + `\fR, ` + head
			}
			if f.Value.Type() != "bool" {
				head += ` \fI` + strings.ToUpper(strings.TrimSuffix(f.Value.Type(), "Array")) + `\fR`
			}
			fmt.Fprintf(&w, ".TP\n%s\n%s", head, roff(f.Usage))
			if d := f.DefValue; f.Value.Type() != "bool" && d != "" && d != "0" && d != "[]" {
				fmt.Fprintf(&w, " (default %s)", roff(d))
			}
			w.WriteString(".\n")
		})
	}
	if c.Example != "" {
		w.WriteString(".SH EXAMPLES\n.nf\n")
		for l := range strings.SplitSeq(c.Example, "\n") {
			fmt.Fprintln(&w, roff(strings.TrimPrefix(l, "  ")))
		}
		w.WriteString(".fi\n")
	}
	w.WriteString(".SH EXIT STATUS\n")
	for code, what := range exitMeanings() {
		fmt.Fprintf(&w, ".TP\n%d\n%s.\n", code, roff(what))
	}
	if len(also) > 0 {
		fmt.Fprintf(&w, ".SH SEE ALSO\n.BR %s (1)\n", strings.Join(roffAll(also), " (1),\n.BR "))
	}
	return w.String()
}

// exitMeanings says what each exit code means.
func exitMeanings() []string {
	return []string{
		exitOK:      "done, or stopped by a signal",
		exitFault:   "something went wrong: stderr has the code, the cause and the next step",
		exitUsage:   "the command line or the configuration is wrong; nothing was done",
		exitUnknown: "of `cdc verify`: it is not known whether all is equal, since something could not be compared",
	}
}

// roff escapes text for a line of its own: backslashes, hyphens, which would else not be those of the keyboard, points and quotes at the
// beginning, which would be requests. What stands in backquotes is bold.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	parts := strings.Split(s, "`")
	for i := 1; i+1 < len(parts); i += 2 {
		parts[i] = `\fB` + parts[i] + `\fR`
	}
	return strings.Join(parts, "")
}

func roffAll(list []string) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = roff(list[i])
	}
	return out
}

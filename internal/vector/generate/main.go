// Command generate writes the assembly of package vector, and the Go declarations
// that belong to it, into the folder given by its argument.
package main

import (
	"log"
	"maps"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: generate FOLDER")
	}
	for name, text := range files() {
		if err := os.WriteFile(filepath.Join(os.Args[1], name), text, 0o644); err != nil {
			log.Fatal(err)
		}
	}
}

// files returns everything that is generated, by file name.
func files() map[string][]byte {
	all := map[string][]byte{}
	for _, m := range machines {
		var routines []routine
		for _, unit := range units {
			text, more := assemble(m, unit.write)
			all[unit.name+"_"+m.name+"_amd64.s"] = text
			routines = append(routines, more...)
		}
		all["table_"+m.name+"_amd64.go"] = table(m, routines...)
	}
	all["peaks_avx512_amd64.s"], _ = assemble(machines[0], writePeaks)
	all["table_peaks_amd64.go"] = formatted(peaksTable())
	maps.Copy(all, neonFiles())
	return all
}

// units are the assembly files of each machine.
var units = []struct {
	name  string
	write func(*code)
}{
	{"rows", writeRows},
	{"outer", writeOuter},
	{"windows", writeWindows},
	{"elements", writeElements},
	{"channels", writeChannels},
	{"sums", writeSums},
	{"distances", writeDistances},
	{"transpose", writeTranspose},
	{"updates", writeUpdates},
	{"ceiling", writeCeiling},
	{"winograd", writeWinograd},
}

// assemble returns one assembly file and the routines in it.
func assemble(m *machine, write func(*code)) ([]byte, []routine) {
	c := &code{Context: build.NewContext(), machine: m}
	write(c)
	file, err := c.Result()
	if err != nil {
		log.Fatal(err)
	}
	if err := pass.Compile.Execute(file); err != nil {
		log.Fatal(err)
	}
	text, err := printer.NewGoAsm(printer.Config{Name: "generate", Pkg: "vector"}).Print(file)
	if err != nil {
		log.Fatal(err)
	}
	return text, c.routines
}

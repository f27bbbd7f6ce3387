package datasets

import "github.com/pkg/errors"

// Join returns the images of several labelled datasets in one, with the classes
// of all. They must be of one size and have no class in common.
func Join(name string, parts ...*Dataset) (*Dataset, error) {
	all := &Dataset{Name: name, Labels: []int{}}
	for i, d := range parts {
		if err := d.labelled(); err != nil {
			return nil, errors.Wrapf(err, "join %s", name)
		}
		if i == 0 {
			all.Size, all.Inverted, all.Crop = d.Size, d.Inverted, d.Crop
		}
		if d.Size != all.Size {
			return nil, errors.Wrapf(ErrSizes, "join %s: dataset %s has images of %v, dataset %s of %v", name, parts[0].Name, all.Size, d.Name, d.Size)
		}
		for _, label := range d.Labels {
			all.Labels = append(all.Labels, len(all.Classes)+label)
		}
		all.Classes = append(all.Classes, d.Classes...)
		all.Images = append(all.Images, d.Images...)
		all.Sources = append(all.Sources, d.Sources...)
		all.Drawers = append(all.Drawers, d.Drawers...)
	}
	return all, errors.Wrapf(all.Validate(), "join %s", name)
}

//! An explanation, as people read it.

use std::fmt;

use super::explain::{Applied, Explained, Explanation, Located, Provenance};
use super::layers::Layer;

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.aor {
            Some(aor) => writeln!(f, "{aor}  {}", self.user.dn)?,
            None => writeln!(f, "{}", self.user.dn)?,
        }
        if let Some(why) = &self.why {
            writeln!(f, "{}: {why}", self.state)?;
        }
        if let Some(place) = &self.place {
            writeln!(f, "{place}")?;
        }
        if !self.policies.is_empty() {
            writeln!(f, "policies, the highest last:")?;
            for policy in &self.policies {
                writeln!(f, "  {policy}")?;
            }
        }
        for explained in &self.settings {
            write!(f, "\n{explained}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: ", self.address)?;
        match (&self.subnet, &self.prefix) {
            (Some(subnet), Some(prefix)) => write!(f, "subnet {}, which has {prefix}; ", subnet.dn)?,
            _ => f.write_str("in no subnet; ")?,
        }
        match (&self.site, &self.subnet) {
            (Some(site), Some(_)) => write!(f, "site {}", site.dn),
            (Some(site), None) => write!(f, "site {}, the only one", site.dn),
            (None, _) => f.write_str("in no site"),
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.layer)?;
        if let Some(object) = &self.object {
            write!(f, "  {}  order {}", object.dn, self.order)?;
        }
        match &self.filtered {
            Some(filtered) => write!(f, "  does not apply: {filtered}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.setting)?;
        if let Some(unit) = self.unit {
            write!(f, " ({unit})")?;
        }
        if self.enforced {
            f.write_str(", enforced")?;
        }
        writeln!(f)?;
        if self.values.is_empty() {
            writeln!(f, "  no value")?;
        }
        for (index, sourced) in self.values.iter().enumerate() {
            writeln!(f, "  {}", sourced.value)?;
            // A list that comes from one line says so once.
            if self.values.get(index + 1).is_none_or(|next| next.source != sourced.source) {
                writeln!(f, "      {}", sourced.source)?;
            }
        }
        for nearest in &self.nearest {
            writeln!(f, "      @nearest({}) is {}", nearest.role, nearest.container.dn)?;
        }
        for loser in &self.losers {
            let value = if loser.value.is_empty() { "(nothing)" } else { &loser.value };
            writeln!(f, "  not {value}: {}", loser.text)?;
            writeln!(f, "      {}", loser.source)?;
        }
        Ok(())
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is built in has no line.
        if self.object.is_none() && self.layer == Layer::BuiltIn.to_string() {
            return f.write_str(&self.layer);
        }
        write!(f, "{} {}", self.operator, self.layer)?;
        if let Some(object) = &self.object {
            write!(f, " {}", object.dn)?;
        }
        if let Some(attribute) = &self.attribute {
            write!(f, " ({attribute})")?;
        }
        if self.change > 0 {
            write!(f, ", change {}", self.change)?;
        }
        if let Some(at) = &self.at {
            write!(f, " of {at}")?;
        }
        Ok(())
    }
}

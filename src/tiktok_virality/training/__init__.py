"""How models are trained: data, Lightning modules, and the launcher that resumes."""

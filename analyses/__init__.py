"""What is estimated on a lupus-nephritis cohort. Nothing here can see how a synthetic cohort was made."""

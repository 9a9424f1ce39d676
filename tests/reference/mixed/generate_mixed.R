# Makes the inputs, reference numbers and session record that test_mixed_reference.py reads.
# Run from this folder: Rscript generate_mixed.R
suppressPackageStartupMessages({library(survival); library(lme4)})
options(digits = 17, scipen = 0)
dir.create("inputs", showWarnings = FALSE)

write_input <- function(name, frame) {
  for (column in names(frame)) if (is.numeric(frame[[column]])) frame[[column]] <- sprintf("%.17g", frame[[column]])
  write.csv(frame, file.path("inputs", paste0(name, ".csv")), row.names = FALSE, quote = FALSE, eol = "\n")
}

pbcseq_data <- with(pbcseq, data.frame(id, trt, year = day / 365.25, log_bili = log(bili), albumin))
# Unbalanced: one to six visits, a factor of three levels, a slope that differs between subjects.
set.seed(20250, kind = "Mersenne-Twister", normal.kind = "Inversion")
visits <- rep(1:6, length.out = 30)
small_data <- data.frame(id = rep(seq_along(visits), visits), years = round(runif(sum(visits), 0, 4), 3))
small_data$arm <- c("a", "b", "c")[(small_data$id * 7) %% 3 + 1]
lines <- matrix(rnorm(60), 30)
small_data$value <- round(60 - 2 * small_data$years + 5 * (small_data$arm == "b") + 8 * lines[small_data$id, 1] +
  small_data$years * (1.5 * lines[small_data$id, 2] - lines[small_data$id, 1]) + rnorm(nrow(small_data), 0, 4), 3)
# No variance between subjects: the fit lies on the boundary.
flat_data <- data.frame(id = rep(1:12, each = 4), years = rep(0:3, 12))
flat_data$value <- round(10 + flat_data$years + rep(c(1, -1, -1, 1), 12) * (1 + flat_data$id / 10), 3)
inputs <- list(pbcseq = pbcseq_data, small = small_data, flat = flat_data)
for (name in names(inputs)) write_input(name, inputs[[name]])

rows <- list()
record <- function(scenario, quantity, value, term = "") {
  rows[[length(rows) + 1]] <<- data.frame(scenario, quantity, term, value = as.numeric(value))
}
# Two optimisers to the end of double precision; the better of the two is the reference.
best_fit <- function(formula, data, reml) {
  fits <- lapply(list(
    lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.02, rhoend = 1e-11, maxfun = 1e5)),
    lmerControl(optimizer = "nloptwrap", optCtrl = list(algorithm = "NLOPT_LN_NELDERMEAD", xtol_abs = 1e-12,
                                                        ftol_abs = 0, ftol_rel = 0, xtol_rel = 0, maxeval = 1e5))),
    function(control) suppressMessages(suppressWarnings(lmer(formula, data, REML = reml, control = control))))
  fits[[which.max(sapply(fits, function(fit) as.numeric(logLik(fit))))]]
}
record_fit <- function(scenario, formula, data) for (reml in c(TRUE, FALSE)) {
  name <- paste0(scenario, if (reml) "_reml" else "_ml")
  fit <- best_fit(formula, data, reml)
  record(name, "log_likelihood", logLik(fit))
  record(name, "fixed", fixef(fit), names(fixef(fit)))
  record(name, "std_error", sqrt(diag(as.matrix(vcov(fit)))), names(fixef(fit)))
  components <- as.data.frame(VarCorr(fit))
  record(name, "component", components$vcov, ifelse(is.na(components$var1), "Residual",
         ifelse(is.na(components$var2), components$var1, paste(components$var1, components$var2, sep = ":"))))
  record(name, "singular", isSingular(fit))
}
record_fit("bili_intercept", log_bili ~ trt * year + (1 | id), pbcseq_data)
record_fit("bili_slope", log_bili ~ trt * year + (1 + year | id), pbcseq_data)
record_fit("albumin_intercept", albumin ~ trt * year + (1 | id), pbcseq_data)
record_fit("albumin_slope", albumin ~ trt * year + (1 + year | id), pbcseq_data)
record_fit("small_intercept", value ~ arm * years + (1 | id), small_data)
record_fit("small_slope", value ~ arm * years + (1 + years | id), small_data)
record_fit("flat_intercept", value ~ years + (1 | id), flat_data)

numbers <- do.call(rbind, rows)
numbers$value <- sprintf("%.17g", numbers$value)
write.csv(numbers, "numbers.csv", row.names = FALSE, eol = "\n")
writeLines(c(R.version.string, sapply(c("lme4", "Matrix", "survival"), function(name)
  paste(name, packageVersion(name)))), "sessionInfo.txt")
files <- c(file.path("inputs", paste0(names(inputs), ".csv")), "numbers.csv")
sums <- sapply(files, function(path) strsplit(system2("sha256sum", path, stdout = TRUE), " ")[[1]][1])
write.csv(data.frame(file = files, sha256 = sums), "manifest.csv", row.names = FALSE, quote = FALSE, eol = "\n")

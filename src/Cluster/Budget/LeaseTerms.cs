namespace UPool.Cluster.Budget;

/// <summary>A silo's permits, with their times by its own clock. Set them in the pool at once, up or down.</summary>
/// <param name="Grant">The grant; 0 before the first.</param>
/// <param name="Permits">The permits of the pool until <paramref name="End"/>.</param>
/// <param name="End">From here on nothing is rented, opened or taken into use, and idle connections are closed.</param>
/// <param name="CutOff">From here on nothing may be open: used connections are cut off before.</param>
/// <param name="Status">How the newest request was answered.</param>
internal readonly record struct LeaseTerms(
    long Grant, int Permits, TimeSpan End, TimeSpan CutOff, LeaseStatus Status);

namespace UPool.Cluster.Hosting;

/// <summary>A table that the application cannot do without; registered as a singleton. While it is missing the health
/// endpoints and the log say so.</summary>
/// <param name="Name">The name, as the database writes it.</param>
public sealed record RequiredTable(string Name);

namespace UPool.Grains;

/// <summary>A user: a row of <c>tb1</c>.</summary>
/// <param name="Id">The key, given by the database.</param>
/// <param name="Name">The name: 1 character up to the column's length.</param>
[GenerateSerializer, Immutable]
[Alias("UPool.User")]
public sealed record User([property: Id(0)] long Id, [property: Id(1)] string Name);

namespace UPool.Grains;

/// <summary>A user: a row of <c>tb1</c>.</summary>
/// <param name="Id">The key, given by the database.</param>
/// <param name="Name">The name: 1 character up to the column's length.</param>
[GenerateSerializer, Immutable]
[Alias("UPool.User")]
public sealed record User([property: Id(0)] long Id, [property: Id(1)] string Name);

/// <summary>A page of users in id order.</summary>
/// <param name="Users">The users.</param>
/// <param name="Next">The id to pass as <c>after</c> for the next page; null when no more rows exist.</param>
[GenerateSerializer, Immutable]
[Alias("UPool.UserPage")]
public sealed record UserPage([property: Id(0)] User[] Users, [property: Id(1)] long? Next);

namespace UPool.Core;

/// <summary>The code that rents, for the report of a rent held too long. Formatted only for the report: at every rent
/// it would cost more than the rent.</summary>
/// <param name="Member">The method; null when it is unknown.</param>
/// <param name="File">Its file, if the compiler gave it.</param>
/// <param name="Line">The line of the call.</param>
internal readonly record struct RentPlace(string? Member, string? File = null, int Line = 0)
{
    public override string? ToString() => File is null ? Member : $"{Member} ({Path.GetFileName(File)}:{Line})";
}
